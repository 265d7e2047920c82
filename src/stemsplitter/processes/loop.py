"""The loop of a worker: it claims and runs jobs, delivers webhooks and does maintenance until it is stopped."""

import logging
import os
import random
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import NoReturn

from stemsplitter.jobs.claims import Jobs
from stemsplitter.jobs.models import LOW, Job
from stemsplitter.jobs.processing import Released
from stemsplitter.settings import Settings
from stemsplitter.splits.derived.maker import FileMaker
from stemsplitter.webhooks.deliveries import Deliveries
from stemsplitter.worker import retry
from stemsplitter.worker.heartbeat import Heartbeat
from stemsplitter.worker.maintenance import Maintenance, MaintenanceTask

POLLING_SECONDS, TEST_POLLING_SECONDS = 0.2, 1.0
GIVE_WAY_SECONDS = 1.0  # in which a job finds any other free worker
TOOLS_AT_ONCE = 1
TESTS_AT_ONCE = 4  # those that are slow on request do nothing but wait
RELEASE_SECONDS = 20.0

_log = logging.getLogger(__name__)


class Worker:
    """The worker of a process, which ends with it.

    The leader of the live workers also requeues the jobs of dead workers and runs the maintenance tasks.

    Args:
        maintenance: tasks of the leader.
        cleanup: tasks of every worker.
        concurrency: number of splits that run at once.
    """

    def __init__(
        self,
        heartbeat: Heartbeat,
        settings: Settings,
        jobs: Jobs,
        deliveries: Deliveries,
        files: FileMaker,
        *,
        maintenance: Sequence[MaintenanceTask] = (),
        cleanup: Sequence[MaintenanceTask] = (),
        concurrency: int = 1,
    ) -> None:
        self._heartbeat, self._settings = heartbeat, settings
        self._jobs, self._deliveries, self._files = jobs, deliveries, files
        self._maintenance = Maintenance(
            [MaintenanceTask("delete dead workers", 3600, heartbeat.delete_dead), *maintenance]
        )
        self._cleanup = Maintenance(cleanup)
        # each kind beside the others, so that a short job does not wait for a song
        self._threads = [
            *self._workers("split", concurrency, jobs.claim, POLLING_SECONDS),
            *self._workers("tool", TOOLS_AT_ONCE, jobs.claim_tool, POLLING_SECONDS),
            *self._workers("test", TESTS_AT_ONCE, jobs.claim_test, TEST_POLLING_SECONDS),
        ]
        self._failures = 0
        self._stopping = threading.Event()
        self._abort = threading.Event()

    def run(self, stop: threading.Event, close: Callable[[], object] = lambda: None) -> NoReturn:
        """Work until ``stop`` is set. Then finish or release the running jobs, call ``close`` and end the process."""
        self._heartbeat.start()
        self._deliveries.start()
        self._files.start(self._heartbeat.worker_id)
        for thread in self._threads:
            thread.start()
        threading.Thread(target=self._maintain, name="maintenance", daemon=True).start()
        _log.info("worker %s started", self._heartbeat.worker_id)
        stop.wait()
        self._drain()
        close()
        _log.info("worker %s stopped", self._heartbeat.worker_id)
        logging.shutdown()
        os._exit(0)  # does not wait for a thread that did not release its job in time

    def _workers(
        self, name: str, count: int, claim: Callable[[str], Job | None], polling_s: float
    ) -> Iterator[threading.Thread]:
        """Yield the threads that run the jobs of a kind."""
        claiming = threading.Lock()  # one of them polls for all
        for number in range(1, count + 1):
            arguments = claim, claiming, polling_s
            yield threading.Thread(target=self._work, args=arguments, name=f"{name} {number}", daemon=True)

    def _work(self, claim: Callable[[str], Job | None], claiming: threading.Lock, polling_s: float) -> None:
        while not self._stopping.is_set():
            with claiming:
                job = self._claim(claim, polling_s)
            if job is not None and job.priority == LOW and not job.is_test:
                job = self._run_low(job)
            if job is not None:
                self._run(job, self._abort)

    def _claim(self, claim: Callable[[str], Job | None], polling_s: float) -> Job | None:
        if self._stopping.is_set():
            return None
        try:
            job = claim(self._heartbeat.worker_id)
        except Exception:
            delay = retry.delay(self._failures)
            self._failures += 1
            _log.exception("could not claim a job, retrying in %g s", delay)
            self._stopping.wait(delay * random.uniform(0.8, 1.2))
            return None
        self._failures = 0
        if job is None:
            self._stopping.wait(polling_s * random.uniform(0.8, 1.2))
        return job

    def _run(self, job: Job, abort: threading.Event) -> None:
        try:
            with suppress(Released):
                self._jobs.run(job, abort)
        except Exception:
            _log.exception("job %s interrupted, to be requeued when the database is available", job.id)

    def _run_low(self, job: Job) -> Job | None:
        """Run a job of a low priority. If it has to give way to another job, release it and return the other one."""
        abort, ended, others = threading.Event(), threading.Event(), list[Job]()
        watching = threading.Thread(target=self._give_way, args=(abort, ended, others), daemon=True)
        watching.start()
        self._run(job, abort)
        ended.set()
        watching.join()
        return others[0] if others else None

    def _give_way(self, abort: threading.Event, ended: threading.Event, others: list[Job]) -> None:
        """Set ``abort`` when a job finds no free worker, after claiming it, or when the worker releases its jobs."""
        before: set[str] = set()
        while not ended.wait(GIVE_WAY_SECONDS):
            if self._abort.is_set():
                abort.set()
            if self._stopping.is_set():
                continue
            try:
                waiting = self._jobs.waiting_before()
                job = self._jobs.claim_before(self._heartbeat.worker_id) if waiting & before else None
            except Exception:
                _log.exception("could not look for other jobs, retrying in %g s", GIVE_WAY_SECONDS)
                continue
            if job is not None:
                others.append(job)
                abort.set()
                return
            before = waiting

    def _drain(self) -> None:
        """Let running jobs finish within the time that the settings allow, then release the others."""
        self._stopping.set()
        self._deliveries.stop()
        self._files.stop()
        if not self._wait_idle(self._settings.stop_seconds):
            self._abort.set()
        deadline = time.monotonic() + RELEASE_SECONDS
        self._wait_idle(RELEASE_SECONDS)
        self._deliveries.wait_idle(max(deadline - time.monotonic(), 0))
        self._files.wait_idle(max(deadline - time.monotonic(), 0))
        try:
            self._files.requeue_own(self._heartbeat.worker_id)
            self._jobs.requeue_own(self._heartbeat.worker_id)
            self._heartbeat.stop()
        except Exception:
            _log.exception("could not requeue running jobs; another worker does when the lease expires")

    def _wait_idle(self, seconds: float) -> bool:
        deadline = time.monotonic() + seconds
        for thread in self._threads:
            thread.join(max(deadline - time.monotonic(), 0))
        return not any(thread.is_alive() for thread in self._threads)

    def _live(self) -> set[str]:
        # this worker is live, however late its own heartbeat is
        return {self._heartbeat.worker_id, *self._heartbeat.live_workers()}

    def _maintain(self) -> None:
        # while the database was unavailable no heartbeat could be written: wait for a lease before requeueing
        requeue_at = 0.0
        while not self._stopping.wait(self._heartbeat.interval):
            self._cleanup.run_due(self._stopping.is_set)
            try:
                self._heartbeat.publish_models(self._jobs.models())
                self._jobs.requeue_lost(self._heartbeat.worker_id)
                self._files.requeue_lost(self._heartbeat.worker_id)
                if not self._heartbeat.is_leader():
                    continue
                if time.monotonic() > requeue_at:
                    self._jobs.requeue_dead(self._live)
                    self._files.requeue_dead(self._live)
            except Exception:
                _log.exception("could not check the workers, retrying in %g s", self._heartbeat.interval)
                requeue_at = time.monotonic() + self._settings.lease_seconds
                continue
            self._maintenance.run_due(self._stopping.is_set)
