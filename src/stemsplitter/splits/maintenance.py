"""Maintenance of splits and other jobs: retention, orphaned files, the queue's flows and the totals."""

import logging
from collections.abc import Mapping, Sequence
from datetime import timedelta

from stemsplitter.clock import now
from stemsplitter.database import Database
from stemsplitter.jobs import queue, repository
from stemsplitter.jobs.models import FAILED, SUCCEEDED, Job
from stemsplitter.jobs.service import TRASHED
from stemsplitter.quotas.service import Quotas
from stemsplitter.splits import repository as split_repository
from stemsplitter.splits import totals
from stemsplitter.splits.derived import repository as derived_repository
from stemsplitter.splits.derived.models import delete_stored, derived_folder
from stemsplitter.splits.derived.service import DerivedFiles
from stemsplitter.splits.masters import RAW, is_raw, unnamed
from stemsplitter.splits.models import masters_folder, stems_folder
from stemsplitter.splits.service import SplitService
from stemsplitter.storage import Storage
from stemsplitter.worker.maintenance import MaintenanceTask

BATCH = 100
# a split that is being created has files but no row yet; creating takes less than a minute
ORPHAN_AGE = timedelta(hours=1)
# a deleted job stays in the account's export, and holds about 2 kB of the database, for this time
RECORD_AGE = timedelta(days=90)

_log = logging.getLogger(__name__)


class SplitMaintenance:
    """Maintenance tasks of splits. Each may run twice at once, and may be interrupted at any point."""

    def __init__(
        self,
        database: Database,
        storage: Storage,
        splits: SplitService,
        derived: DerivedFiles,
        quotas: Quotas,
    ) -> None:
        self._database, self._storage, self._splits = database, storage, splits
        self._derived, self._quotas = derived, quotas

    def tasks(self) -> Sequence[MaintenanceTask]:
        """Return all tasks, for the leader."""
        return (
            MaintenanceTask("delete expired splits", 60, self.delete_expired),
            MaintenanceTask("delete trashed splits", 30, self.delete_trashed),
            MaintenanceTask("delete records of deleted jobs", 60, self.delete_records),
            MaintenanceTask("delete expired files", 60, self.delete_expired_files),
            MaintenanceTask("delete orphaned files", 3600, self.delete_orphans),
            MaintenanceTask("prune queue flows", 600, self.prune_flows),
            MaintenanceTask("update split totals", 60, self.update_totals),
        )

    def delete_expired(self) -> int:
        """Delete the files of jobs past their retention. Returns the number of jobs."""
        with self._database.read() as session:
            expired = repository.expired(session, BATCH)
        return self._delete_jobs(expired)

    def delete_trashed(self) -> int:
        """Delete the files of jobs whose deletion can no longer be undone. Returns the number of jobs."""
        with self._database.read() as session:
            trashed = repository.trashed(session, now() - TRASHED, BATCH)
        return self._delete_jobs(trashed)

    def _delete_jobs(self, jobs: Sequence[Job]) -> int:
        for job in jobs:
            self._splits.delete_files(job)
        return len(jobs)

    def delete_records(self) -> int:
        """Delete the rows of jobs that were deleted long ago. Their ledger entries stay. Returns their number."""
        with self._database.write() as session:
            return repository.delete_records(session, now() - RECORD_AGE, BATCH)

    def delete_expired_files(self) -> int:
        """Delete expired derived files, and what interrupted requests have stored. Returns their number."""
        self._derived.expire(BATCH)
        with self._database.read() as session:
            expired = self._quotas.expired(session, BATCH)
        for split_id, name in expired:
            if name == RAW:
                self._delete_replaced(split_id)
            elif name:
                delete_stored(self._storage, split_id, name)
            else:
                self._storage.delete_prefix(f"splits/{split_id}")
            with self._database.write() as session:
                self._quotas.release_expired(session, split_id, name)
        return len(expired)

    def _delete_replaced(self, split_id: str) -> None:
        """Delete the raw masters of a split that FLAC has replaced."""
        stored = [each.key for each in self._storage.list_prefix(masters_folder(split_id))]
        for key in self._unnamed_masters({split_id: stored}):
            self._storage.delete(key)

    def delete_orphans(self) -> int:
        """Delete old files under ``splits/`` whose split does not exist or was deleted, stems of failed splits, masters
        that no split names, and derived files without a row. Returns the number of files."""
        old = now() - ORPHAN_AGE
        keys: dict[str, list[str]] = {}
        for stored in self._storage.list_prefix("splits"):
            if stored.modified < old:
                keys.setdefault(stored.key.split("/")[1], []).append(stored.key)
        ids = list(keys)
        existing: dict[str, str] = {}
        for start in range(0, len(ids), BATCH):
            with self._database.read() as session:
                existing |= repository.existing(session, ids[start : start + BATCH])
        orphans = [
            key
            for split_id, found in keys.items()
            for key in found
            if split_id not in existing
            or (
                existing[split_id] == FAILED
                and key.startswith((stems_folder(split_id), masters_folder(split_id)))
            )
        ]
        orphans += self._without_row(
            [
                key
                for split_id, found in keys.items()
                for key in found
                if split_id in existing and key.startswith(f"{derived_folder(split_id)}/")
            ]
        )
        unnamed_masters = self._unnamed_masters(
            {
                split_id: [key for key in found if key.startswith(f"{masters_folder(split_id)}/")]
                for split_id, found in keys.items()
                if existing.get(split_id) == SUCCEEDED
            }
        )
        # raw ones have a time of their own
        orphans += [key for key in unnamed_masters if not is_raw(key)]
        for key in orphans:
            self._storage.delete(key)
        if orphans:
            _log.warning("%d orphaned files deleted", len(orphans))
        return len(orphans)

    def _unnamed_masters(self, stored: Mapping[str, Sequence[str]]) -> list[str]:
        """Return those of the keys of masters, by split, that the rows do not name."""
        found: list[str] = []
        ids = list(stored)
        for start in range(0, len(ids), BATCH):
            with self._database.read() as session:
                named = split_repository.master_keys(session, ids[start : start + BATCH])
            found += [key for split_id, keys in named.items() for key in unnamed(keys, stored[split_id])]
        return found

    def _without_row(self, keys: Sequence[str]) -> list[str]:
        """Return those of the keys of derived files whose rows are gone."""
        found: set[str] = set()
        ids = list(dict.fromkeys(map(_file_id, keys)))
        for start in range(0, len(ids), BATCH):
            with self._database.read() as session:
                found |= derived_repository.existing(session, ids[start : start + BATCH])
        return [key for key in keys if _file_id(key) not in found]

    def prune_flows(self) -> None:
        """Delete the queue's flows that the clock has passed."""
        with self._database.write() as session:
            queue.prune_flows(session)

    def update_totals(self) -> None:
        """Add the splits that have ended to the totals."""
        with self._database.write() as session:
            totals.update(session, now())


def _file_id(key: str) -> str:
    """Return the id of a derived file by its storage key, ``splits/SPLIT/derived/ID`` or a key below."""
    return key.split("/")[3]
