"""What is done regularly: old splits deleted, files nobody owns swept up, splits nobody processes ended."""

import logging
from collections.abc import Sequence
from datetime import timedelta

from stemsplitter.database import Database, now
from stemsplitter.jobs.queue import JobQueue
from stemsplitter.jobs.worker import Chore
from stemsplitter.splits import repository
from stemsplitter.splits.service import SplitService
from stemsplitter.storage import Storage

BATCH = 100
# a split in creation has files and no row: creating takes less than a minute
ORPHAN_AGE = timedelta(hours=1)
SILENCE = timedelta(minutes=10)

_log = logging.getLogger(__name__)


class SplitChores:
    """Each may run twice at once, and be cut off anywhere."""

    def __init__(self, database: Database, storage: Storage, jobs: JobQueue, splits: SplitService) -> None:
        self._database, self._storage, self._jobs, self._splits = database, storage, jobs, splits

    def all(self) -> Sequence[Chore]:
        """What a worker is to be given."""
        return (
            Chore("delete expired splits", 60, self.delete_expired),
            Chore("sweep up orphaned files", 3600, self.sweep),
            Chore("end abandoned splits", 60, self.end_abandoned),
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

    def end_abandoned(self) -> int:
        """Fail unfinished splits whose job is gone, which only a fault can lead to; returns how many."""
        with self._database.read() as session:
            silent = repository.silent(session, now() - SILENCE, BATCH)
        ended = 0
        for split_id in silent:
            if not self._jobs.is_abandoned(split_id):
                continue
            message = "The split could not be processed; its credits were given back."
            with self._database.write() as session:
                failed = self._splits.endings.fail(
                    session, split_id, None, "SERVER_ERROR", message, cause="Its job was gone from the queue."
                )
                ended += failed is not None
            _log.error("the job of %s had ended without it", split_id)
        return ended
