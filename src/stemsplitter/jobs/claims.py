"""Jobs of a worker: claimed, run, and requeued when their worker dies."""

import logging
import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from types import MappingProxyType

from stemsplitter.database import Database, new_id
from stemsplitter.errors import StemSplitterError
from stemsplitter.jobs import queue, repository
from stemsplitter.jobs.models import TEST_QUEUE, Job
from stemsplitter.jobs.processing import MAX_ATTEMPTS, JobProcessor
from stemsplitter.worker.retry import retry

MODELS_SECONDS = 10.0  # between two looks at the available models

_log = logging.getLogger(__name__)


class Jobs:
    """Claims jobs for a worker and runs them. Thread-safe.

    Args:
        processors: run the jobs of each kind.
        models: returns the names of the models that can run.
        tools: returns the queues of the tools that can run.
        tests: run the jobs of each kind of test keys.
        cap: number of jobs of one account that may run at once.
        free_every: one of this many claims is of a free account where one waits.
        disk_problem: returns a sentence on why nothing can be stored, or an empty string. Until it is solved, no jobs
            are claimed: they would fail after a long separation, or use the space that deletions need.
    """

    def __init__(
        self,
        database: Database,
        processors: Mapping[str, JobProcessor],
        models: Callable[[], Sequence[str]],
        cap: int,
        free_every: int,
        disk_problem: Callable[[], str] = str,
        tools: Callable[[], Sequence[str]] = list,
        tests: Mapping[str, JobProcessor] = MappingProxyType({}),
    ) -> None:
        self._database, self._processors, self._tests = database, processors, tests
        self._cap, self._free_every = cap, free_every
        self._find_models, self._find_models_at = models, 0.0
        self._models: list[str] = []
        self._find_tools, self._tools = tools, list[str]()
        self._find_problem, self._problem = disk_problem, ""
        # leases of the runs in this process, each added before it is in the database
        self._leases: set[str] = set()

    def models(self) -> Sequence[str]:
        """Return the models whose splits are claimed, refreshed every few seconds; none while the disk is full."""
        if time.monotonic() >= self._find_models_at:
            self._find_models_at = time.monotonic() + MODELS_SECONDS
            try:
                is_full = self._is_disk_full()
                found = [] if is_full else self._find_models()
                self._tools = [] if is_full else list(self._find_tools())
            except StemSplitterError as error:
                _log.warning("could not list the available models: %s", error)
                return self._models
            kept = [name for name in self._models if name in found]
            self._models = kept + [name for name in found if name not in kept]
        return self._models

    def _is_disk_full(self) -> bool:
        problem = self._find_problem()
        if problem and not self._problem:
            _log.error("no jobs are claimed until this is solved: %s", problem)
        elif self._problem and not problem:
            _log.info("jobs are claimed again: the disk has space")
        self._problem = problem
        return bool(problem)

    def tools(self) -> Sequence[str]:
        """Return the queues of the tools whose jobs are claimed, like :meth:`models`."""
        self.models()
        return self._tools

    def claim(self, worker_id: str) -> Job | None:
        """Claim the next split, with a lease; None if there is none. Models take turns."""
        return self._claim_split(worker_id, queue.PRIORITIES)

    def claim_before(self, worker_id: str) -> Job | None:
        """Claim the next split that comes before those of a low priority, like :meth:`claim`."""
        return self._claim_split(worker_id, queue.ORDINARY)

    def waiting_before(self) -> set[str]:
        """Return the ids of the splits of which :meth:`claim_before` would probably claim one."""
        if not (models := self.models()):
            return set()
        with self._database.read() as session:
            return queue.waiting(session, models, self._cap, queue.ORDINARY)

    def _claim_split(self, worker_id: str, priorities: Sequence[int]) -> Job | None:
        job = self._claim(worker_id, self.models(), priorities)
        if job is not None:
            # the other models come first next time
            self._models = sorted(self._models, key=lambda each: each == job.model_name)
        return job

    def claim_tool(self, worker_id: str) -> Job | None:
        """Claim the next job of a tool, like :meth:`claim`."""
        job = self._claim(worker_id, self.tools())
        if job is not None:
            self._tools = sorted(self._tools, key=lambda each: each == job.model_name)
        return job

    def claim_test(self, worker_id: str) -> Job | None:
        """Claim the next job of a test key, like :meth:`claim`; every worker can run it."""
        self.models()
        return None if self._problem else self._claim(worker_id, (TEST_QUEUE,))

    def _processor(self, job: Job) -> JobProcessor:
        return (self._tests if job.is_test else self._processors)[job.kind]

    def _claim(
        self, worker_id: str, models: Sequence[str], priorities: Sequence[int] = queue.PRIORITIES
    ) -> Job | None:
        if not models:
            return None
        with self._database.read() as session:
            if not queue.waiting(session, models, self._cap, priorities):
                return None
        lease = new_id("run")
        self._leases.add(lease)
        try:
            with self._database.write() as session:
                job = queue.claim(session, models, self._cap, self._free_every, worker_id, lease, priorities)
        except BaseException:
            self._leases.discard(lease)  # if it was committed all the same, `requeue_lost` finds it
            raise
        if job is None:
            self._leases.discard(lease)
            return None
        if job.attempts > MAX_ATTEMPTS:
            try:
                self._processor(job).fail_exhausted(job)
            finally:
                self._leases.discard(lease)
            return None
        return job

    def run(self, job: Job, abort: threading.Event) -> None:
        """Run a claimed job until it ends. Raises Released after ``abort`` is set."""
        leases = {job.lease or ""}

        def next_attempt(job: Job) -> Job | None:
            lease = new_id("run")
            leases.add(lease)
            self._leases.add(lease)

            def start() -> Job | None:
                with self._database.write() as session:
                    return repository.start(session, job.id, job.lease, lease, job.worker_id)

            return retry(start, abort)

        try:
            self._processor(job).run(job, abort, next_attempt)
        finally:
            self._leases -= leases

    def requeue_lost(self, worker_id: str) -> None:
        """Requeue jobs claimed by this worker that no thread runs: the database failed at the commit of the claim."""
        with self._database.read() as session:
            lost = queue.running_by(session, worker_id, self._leases)
        self._requeue([(row.id, row.lease) for row in lost], "claim was not confirmed")

    def requeue_dead(self, live: Callable[[], Collection[str]]) -> None:
        """Requeue jobs whose worker is not among the ``live`` ones.

        Runs are read before live workers, and requeued only if they are still the same: a worker that starts, or claims
        a job, meanwhile keeps it.
        """
        with self._database.read() as session:
            running = queue.running(session)
        workers = set(live())
        dead = [(row.id, row.lease) for row in running if row.worker_id not in workers]
        self._requeue(dead, "worker died")

    def requeue_own(self, worker_id: str) -> None:
        """Requeue all jobs of this worker that are still running, when it stops."""
        with self._database.read() as session:
            running = queue.running_by(session, worker_id)
        self._requeue([(row.id, row.lease) for row in running], "worker stopped")

    def _requeue(self, runs: Sequence[tuple[str, str | None]], reason: str) -> None:
        for job_id, lease in runs:
            with self._database.write() as session:
                if repository.requeue(session, job_id, lease):
                    _log.warning("job %s requeued: %s", job_id, reason)
