"""What is done regularly: old splits deleted, files nobody owns swept up, the queue and the totals kept in order."""

import logging
from collections.abc import Sequence
from datetime import timedelta

from stemsplitter.clock import now
from stemsplitter.database import Database
from stemsplitter.splits import queue, repository, totals
from stemsplitter.splits.service import SplitService
from stemsplitter.storage import Storage
from stemsplitter.worker.heartbeat import hears_version_before
from stemsplitter.worker.tasks import Chore

BATCH = 100
# a split in creation has files and no row: creating takes less than a minute
ORPHAN_AGE = timedelta(hours=1)
HEARD_AGAIN = timedelta(minutes=5)

_log = logging.getLogger(__name__)


class SplitChores:
    """Each may run twice at once, and be cut off anywhere."""

    def __init__(self, database: Database, storage: Storage, splits: SplitService) -> None:
        self._database, self._storage, self._splits = database, storage, splits

    def all(self) -> Sequence[Chore]:
        """What a worker is to be given."""
        return (
            Chore("delete expired splits", 60, self.delete_expired),
            Chore("sweep up orphaned files", 3600, self.sweep),
            Chore("place splits without a turn", 1, self.place),
            Chore("speak up for what waits", 60, self.speak_up),
            Chore("forget flows that have passed", 600, self.forget_flows),
            Chore("add up what has ended", 60, self.add_up),
        )

    def delete_expired(self) -> int:
        """Delete the files of splits that were kept long enough; returns how many splits."""
        with self._database.read() as session:
            expired = repository.expired(session, BATCH)
        for split in expired:
            self._splits.remove(split)
        return len(expired)

    def sweep(self) -> int:
        """Delete files under ``splits/`` whose split is not there, or was deleted; returns how many."""
        old = now() - ORPHAN_AGE
        keys: dict[str, list[str]] = {}
        for stored in self._storage.list_prefix("splits"):
            if stored.modified < old:
                keys.setdefault(stored.key.split("/")[1], []).append(stored.key)
        ids = list(keys)
        kept: set[str] = set()
        for start in range(0, len(ids), BATCH):
            with self._database.read() as session:
                kept |= repository.kept(session, ids[start : start + BATCH])
        orphans = [key for split_id, its in keys.items() if split_id not in kept for key in its]
        for key in orphans:
            self._storage.delete(key)
        if orphans:
            _log.warning("%d files of no split were deleted", len(orphans))
        return len(orphans)

    def place(self) -> int:
        """Give the splits that a version of this program before this one has made their turns; returns how many."""
        with self._database.read() as session:
            unplaced = queue.unplaced(session)
        for found in unplaced:
            with self._database.write() as session:
                split = repository.find(session, found.id, lock=True)
                if split is not None and split.model_name is None:
                    self._splits.place(session, split)
        return len(unplaced)

    def speak_up(self) -> None:
        """Keep what waits from a worker of the version before: it ends what was silent for ten minutes."""
        at = now()
        with self._database.read() as session:
            if not hears_version_before(session, at - 2 * HEARD_AGAIN):
                return
        with self._database.write() as session:
            queue.speak_up(session, at - HEARD_AGAIN)

    def forget_flows(self) -> None:
        """Delete what the queue no longer needs to know of accounts."""
        with self._database.write() as session:
            queue.forget_flows(session)

    def add_up(self) -> None:
        """Add the splits that have ended to the totals."""
        with self._database.write() as session:
            totals.add_up(session, now())
