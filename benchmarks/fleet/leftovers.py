"""Comparison of the files in the store with the rows of the database after maintenance."""

from datetime import timedelta
from unittest import mock

from benchmarks.audit import Problems
from benchmarks.fleet.cluster import Fleet
from stemsplitter.splits import maintenance
from stemsplitter.splits.derived.models import derived_key
from stemsplitter.splits.models import peaks_key
from stemsplitter.uploads import service as uploads_service


def leftovers(made: Fleet) -> Problems:
    """Find orphaned and missing files after uploads have expired, and any file after splits have expired, too."""
    _expire(made, "uploads")
    stored = {each.key for each in made.services.storage.list_prefix()}
    known = _known(made)
    problems = [f"{key} is in the store but in no row" for key in sorted(stored - known)]
    problems += [f"{key} is missing in the store" for key in sorted(known - stored)]
    _expire(made, "jobs")
    left = sorted(each.key for each in made.services.storage.list_prefix())
    return problems + [f"{key} is still in the store after everything has expired" for key in left]


def _expire(made: Fleet, table: str) -> None:
    """Expire all rows of a table and run the maintenance that deletes files."""
    made.execute(f"UPDATE {table} SET expires_at = 1")
    services = made.services
    tasks = maintenance.SplitMaintenance(
        services.database, services.storage, services.splits, services.derived_files, services.quotas
    )
    # modification times in the store are whole seconds
    with mock.patch.object(maintenance, "ORPHAN_AGE", timedelta(seconds=-2)):
        while tasks.delete_expired():
            pass
        tasks.delete_orphans()
    with mock.patch.object(uploads_service, "RETENTION", timedelta(0)):
        while services.uploads.delete_expired():
            pass


def _known(made: Fleet) -> set[str]:
    """Query the keys of all files that rows refer to."""
    known = set()
    rows = made.query("SELECT id, source_key, stems, masters FROM jobs WHERE deleted_at IS NULL")
    for split_id, source_key, stems, masters in rows:
        known.add(source_key)
        if stems:
            known |= {file["key"] for file in (*stems.values(), *masters.values())} | {peaks_key(split_id)}
    files = made.query("SELECT split_id, id FROM derived_files WHERE status = 'succeeded'")
    known |= {derived_key(split_id, file_id) for split_id, file_id in files}
    return known
