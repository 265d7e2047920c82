"""What the store holds that no row of the database knows, and the other way round, after the regular chores."""

from datetime import timedelta
from unittest import mock

from benchmarks.audit import Problems
from benchmarks.fleet.cluster import Fleet
from stemsplitter.splits import maintenance as splits_chores
from stemsplitter.splits.models import peaks_key
from stemsplitter.uploads import service as uploads_service


def leftovers(made: Fleet) -> Problems:
    """Sweep as workers do when the uploads have expired, and compare; then let the splits expire, too, and look
    whether the store is empty."""
    _expire(made, "uploads")
    stored = {each.key for each in made.services.storage.list_prefix()}
    known = _known(made)
    problems = [f"{key} is in the store, and nothing knows it" for key in sorted(stored - known)]
    problems += [f"{key} is not in the store, and should be" for key in sorted(known - stored)]
    _expire(made, "splits")
    left = sorted(each.key for each in made.services.storage.list_prefix())
    return problems + [f"{key} is still in the store after everything has expired" for key in left]


def _expire(made: Fleet, table: str) -> None:
    """Let all of a table's rows expire, and do the chores that delete files, as if an hour and a day had passed."""
    made.execute(f"UPDATE {table} SET expires_at = 1")
    services = made.services
    chores = splits_chores.SplitChores(services.database, services.storage, services.splits)
    # the store's own times are whole seconds
    with mock.patch.object(splits_chores, "ORPHAN_AGE", timedelta(seconds=-2)):
        while chores.delete_expired():
            pass
        chores.sweep()
    with mock.patch.object(uploads_service, "KEPT", timedelta(0)):
        while services.uploads.remove_ended():
            pass


def _known(made: Fleet) -> set[str]:
    """The keys that rows name."""
    known = set()
    rows = made.query("SELECT id, source_key, stems FROM splits WHERE deleted_at IS NULL")
    for split_id, source_key, stems in rows:
        known.add(source_key)
        if stems:
            known |= {stem["key"] for stem in stems.values()} | {peaks_key(split_id)}
    return known
