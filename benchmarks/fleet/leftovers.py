"""Objects of the store without a row in the database, and vice versa, after maintenance."""

from datetime import timedelta
from unittest import mock

from benchmarks.audit import Problems
from benchmarks.fleet.cluster import Fleet
from stemsplitter.splits import maintenance as splits_chores
from stemsplitter.splits.models import peaks_key
from stemsplitter.uploads import service as uploads_service


def leftovers(made: Fleet) -> Problems:
    """Run maintenance after the uploads have expired, and compare; then let the splits expire too, and check that the
    store is empty."""
    _expire(made, "uploads")
    stored = {each.key for each in made.services.storage.list_prefix()}
    known = _known(made)
    problems = [f"{key} is in the store without a row" for key in sorted(stored - known)]
    problems += [f"{key} is missing from the store" for key in sorted(known - stored)]
    _expire(made, "splits")
    left = sorted(each.key for each in made.services.storage.list_prefix())
    return problems + [f"{key} is still in the store after everything has expired" for key in left]


def _expire(made: Fleet, table: str) -> None:
    """Expire all rows of a table, and run the maintenance that deletes files, as if an hour and a day had passed."""
    made.execute(f"UPDATE {table} SET expires_at = 1")
    services = made.services
    chores = splits_chores.SplitChores(services.database, services.storage, services.splits)
    # timestamps of the store are whole seconds
    with mock.patch.object(splits_chores, "ORPHAN_AGE", timedelta(seconds=-2)):
        while chores.delete_expired():
            pass
        chores.sweep()
    with mock.patch.object(uploads_service, "KEPT", timedelta(0)):
        while services.uploads.remove_ended():
            pass


def _known(made: Fleet) -> set[str]:
    """The keys to which rows refer."""
    known = set()
    rows = made.query("SELECT id, source_key, stems FROM splits WHERE deleted_at IS NULL")
    for split_id, source_key, stems in rows:
        known.add(source_key)
        if stems:
            known |= {stem["key"] for stem in stems.values()} | {peaks_key(split_id)}
    return known
