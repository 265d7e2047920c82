"""Splits as jobs of a worker: claimed, run, and requeued when their worker dies."""

import logging
import threading
import time
from collections.abc import Callable, Collection, Sequence

from stemsplitter.database import Database, new_id
from stemsplitter.errors import StemSplitterError
from stemsplitter.splits import queue, repository
from stemsplitter.splits.models import Split
from stemsplitter.splits.processing import MAX_ATTEMPTS, SplitProcessor
from stemsplitter.worker.retry import retry

MODELS_SECONDS = 10.0  # between two looks at the available models

_log = logging.getLogger(__name__)


class SplitJobs:
    """Claims splits for a worker and runs them. Thread-safe.

    Args:
        models: returns the names of the models that can run.
        cap: number of splits of one account that may run at once.
        free_every: one of this many claims is of a free account where one waits.
        disk_problem: returns a sentence on why nothing can be stored, or an empty string. Until it is solved, no splits
            are claimed: they would fail after a long separation, or use the space that deletions need.
    """

    def __init__(
        self,
        database: Database,
        processor: SplitProcessor,
        models: Callable[[], Sequence[str]],
        cap: int,
        free_every: int,
        disk_problem: Callable[[], str] = str,
    ) -> None:
        self._database, self._processor = database, processor
        self._cap, self._free_every = cap, free_every
        self._find_models, self._find_models_at = models, 0.0
        self._models: list[str] = []
        self._find_problem, self._problem = disk_problem, ""
        # leases of the runs in this process, each added before it is in the database
        self._leases: set[str] = set()

    def models(self) -> Sequence[str]:
        """Return the models whose splits are claimed, refreshed every few seconds; none while the disk is full."""
        if time.monotonic() >= self._find_models_at:
            self._find_models_at = time.monotonic() + MODELS_SECONDS
            try:
                found = [] if self._is_disk_full() else self._find_models()
            except StemSplitterError as error:
                _log.warning("could not list the available models: %s", error)
                return self._models
            kept = [name for name in self._models if name in found]
            self._models = kept + [name for name in found if name not in kept]
        return self._models

    def _is_disk_full(self) -> bool:
        problem = self._find_problem()
        if problem and not self._problem:
            _log.error("no splits are claimed until this is solved: %s", problem)
        elif self._problem and not problem:
            _log.info("splits are claimed again: the disk has space")
        self._problem = problem
        return bool(problem)

    def claim(self, worker_id: str) -> Split | None:
        """Claim the next split, with a lease; None if there is none. Models take turns."""
        models = self.models()
        if not models:
            return None
        with self._database.read() as session:
            if not queue.has_next(session, models, self._cap):
                return None
        lease = new_id("run")
        self._leases.add(lease)
        try:
            with self._database.write() as session:
                split = queue.claim(session, models, self._cap, self._free_every, worker_id, lease)
        except BaseException:
            self._leases.discard(lease)  # if it was committed all the same, `requeue_lost` finds it
            raise
        if split is None:
            self._leases.discard(lease)
            return None
        name = split.model["name"]
        # the other models come first next time
        self._models = sorted(self._models, key=lambda each: each == name)
        if split.attempts > MAX_ATTEMPTS:
            try:
                self._processor.fail_exhausted(split)
            finally:
                self._leases.discard(lease)
            return None
        return split

    def run(self, split: Split, abort: threading.Event) -> None:
        """Run a claimed split until it ends. Raises Released after ``abort`` is set."""
        leases = {split.lease or ""}

        def next_attempt(split: Split) -> Split | None:
            lease = new_id("run")
            leases.add(lease)
            self._leases.add(lease)

            def start() -> Split | None:
                with self._database.write() as session:
                    return repository.start(session, split.id, split.lease, lease, split.worker_id)

            return retry(start, abort)

        try:
            self._processor.run(split, abort, next_attempt)
        finally:
            self._leases -= leases

    def requeue_lost(self, worker_id: str) -> None:
        """Requeue splits claimed by this worker that no thread runs: the database failed at the commit of the claim."""
        with self._database.read() as session:
            lost = queue.running_by(session, worker_id, self._leases)
        self._requeue([(row.id, row.lease) for row in lost], "claim was not confirmed")

    def requeue_dead(self, live: Callable[[], Collection[str]]) -> None:
        """Requeue splits whose worker is not among the ``live`` ones.

        Runs are read before live workers, and requeued only if they are still the same: a worker that starts, or claims
        a split, meanwhile keeps it.
        """
        with self._database.read() as session:
            running = queue.running(session)
        workers = set(live())
        dead = [(row.id, row.lease) for row in running if row.worker_id not in workers]
        self._requeue(dead, "worker died")

    def requeue_own(self, worker_id: str) -> None:
        """Requeue all splits of this worker that are still running, when it stops."""
        with self._database.read() as session:
            running = queue.running_by(session, worker_id)
        self._requeue([(row.id, row.lease) for row in running], "worker stopped")

    def _requeue(self, runs: Sequence[tuple[str, str | None]], reason: str) -> None:
        for split_id, lease in runs:
            with self._database.write() as session:
                if repository.requeue(session, split_id, lease):
                    _log.warning("split %s requeued: %s", split_id, reason)
