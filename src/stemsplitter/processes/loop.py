"""A worker: takes splits, as many at once as it is to, and webhooks, until it is told to stop."""

import logging
import os
import random
import threading
import time
from collections.abc import Callable, Collection, Sequence
from typing import Generic, NoReturn, Protocol, TypeVar

from stemsplitter.settings import Settings
from stemsplitter.webhooks.deliveries import Deliveries
from stemsplitter.worker import backoff
from stemsplitter.worker.heartbeat import Heartbeat
from stemsplitter.worker.tasks import Chore, HandedBack

POLLING_SECONDS = 0.2
HAND_BACK_SECONDS = 20.0

_log = logging.getLogger(__name__)
Job = TypeVar("Job")


class Jobs(Protocol[Job]):
    """What a worker works at. All may be called from several threads."""

    def models(self) -> Sequence[str]:
        """The models whose jobs are taken."""

    def take(self, worker_id: str) -> Job | None:
        """A job that is nobody else's from now on; None where none is to be had."""

    def process(self, job: Job, abort: threading.Event) -> None:
        """Do a job. When ``abort`` is set, it is to raise HandedBack soon."""

    def recover(self, worker_id: str) -> None:
        """Give back what this worker has taken and is not at work at."""

    def reap(self, living: Callable[[], Collection[str]]) -> None:
        """Give back what workers have that do not live."""

    def hand_back(self, worker_id: str) -> None:
        """Give back all that this worker has."""


class Worker(Generic[Job]):
    """One in each process, which ends with it. ``concurrency`` is how many jobs it really does at once.

    The eldest living worker gives back the jobs of those that died, and does the chores.
    """

    def __init__(
        self,
        heart: Heartbeat,
        settings: Settings,
        jobs: Jobs[Job],
        deliveries: Deliveries,
        *,
        chores: Sequence[Chore] = (),
        concurrency: int = 1,
    ) -> None:
        self._heart, self._settings = heart, settings
        self._jobs, self._deliveries, self._chores = jobs, deliveries, chores
        self._threads = [
            threading.Thread(target=self._work, name=f"split {number}", daemon=True)
            for number in range(1, concurrency + 1)
        ]
        self._taking = threading.Lock()
        self._failures = 0
        self._stopping = threading.Event()
        self._abort = threading.Event()

    def run(self, stop: threading.Event, close: Callable[[], object] = lambda: None) -> NoReturn:
        """Take jobs until ``stop`` is set; then finish the running ones, or hand them back, call ``close``, and end the
        process."""
        self._heart.start()
        self._deliveries.start()
        for thread in self._threads:
            thread.start()
        threading.Thread(target=self._look_after_others, name="maintenance", daemon=True).start()
        _log.info("worker %s takes jobs", self._heart.worker_id)
        stop.wait()
        self._drain()
        close()
        _log.info("worker %s has ended", self._heart.worker_id)
        logging.shutdown()
        os._exit(0)  # a thread that did not hand its job back in time is not waited for

    def _work(self) -> None:
        while not self._stopping.is_set():
            with self._taking:  # one asks for all, the others wait behind it
                job = self._take()
            if job is not None:
                self._process(job)

    def _take(self) -> Job | None:
        if self._stopping.is_set():
            return None
        try:
            job = self._jobs.take(self._heart.worker_id)
        except Exception:
            pause = backoff.pause(self._failures)
            self._failures += 1
            _log.exception("no job can be taken; tried again in %g s", pause)
            self._stopping.wait(pause * random.uniform(0.8, 1.2))
            return None
        self._failures = 0
        if job is None:
            self._stopping.wait(POLLING_SECONDS * random.uniform(0.8, 1.2))
        return job

    def _process(self, job: Job) -> None:
        try:
            self._jobs.process(job, self._abort)
        except HandedBack:
            _log.info("a job is handed back")
        except Exception:
            _log.exception("a job broke off, and waits again as soon as the database answers")

    def _drain(self) -> None:
        """Let running jobs finish, for as long as the settings say; have the others give up."""
        self._stopping.set()
        self._deliveries.stop()
        if not self._wait_idle(self._settings.stop_seconds):
            self._abort.set()
        deadline = time.monotonic() + HAND_BACK_SECONDS
        self._wait_idle(HAND_BACK_SECONDS)
        self._deliveries.wait_idle(max(deadline - time.monotonic(), 0))
        try:
            self._jobs.hand_back(self._heart.worker_id)
            self._heart.stop()
        except Exception:
            _log.exception("what is left cannot be handed back; others take it when the lease has ended")

    def _wait_idle(self, seconds: float) -> bool:
        deadline = time.monotonic() + seconds
        for thread in self._threads:
            thread.join(max(deadline - time.monotonic(), 0))
        return not any(thread.is_alive() for thread in self._threads)

    def _look_after_others(self) -> None:
        chores = (Chore("forget dead workers", 3600, self._heart.forget_dead), *self._chores)
        due = dict.fromkeys((chore.name for chore in chores), 0.0)
        # while the database was away nobody's heart was heard: each has a lease's time to be heard again
        patient_until = 0.0
        while not self._stopping.wait(self._heart.interval):
            try:
                self._heart.tell_models(self._jobs.models())
                self._jobs.recover(self._heart.worker_id)
                if not self._heart.leads():
                    continue
                if time.monotonic() > patient_until:
                    # this one lives, however late its own heart is
                    self._jobs.reap(lambda: {self._heart.worker_id, *self._heart.living()})
            except Exception:
                _log.exception("looking after the workers failed, and is tried again")
                patient_until = time.monotonic() + self._settings.lease_seconds
                continue
            for chore in chores:
                if time.monotonic() >= due[chore.name] and not self._stopping.is_set():
                    due[chore.name] = time.monotonic() + chore.seconds
                    _do(chore)


def _do(chore: Chore) -> None:
    try:
        chore.run()
    except Exception:
        _log.exception("the chore %r failed, and is tried again in %d s", chore.name, chore.seconds)
