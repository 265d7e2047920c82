"""A worker: takes jobs, one split at a time, until it is told to stop."""

import logging
import os
import random
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NoReturn, TypeVar

from dbos import DBOS, DBOSClient, DBOSConfig

from stemsplitter.database import Database
from stemsplitter.jobs import recovery
from stemsplitter.jobs.heartbeat import Heartbeat
from stemsplitter.jobs.queue import APPLICATION, DELIVERIES, SPLITS, VERSION
from stemsplitter.settings import Settings

POLLING_SECONDS = 0.2
DELIVERIES_AT_ONCE = 8
DELIVERIES_OF_ONE_ACCOUNT = 3
# how long a job that met a fault of its surroundings (the database is gone, the disk is full) waits for the next try
RETRY_SECONDS = (1, 2, 5, 10, 30, 60, 120)
HAND_BACK_SECONDS = 20.0

_log = logging.getLogger(__name__)
Answer = TypeVar("Answer")


class HandedBack(Exception):
    """A job gave up its work because the worker ends; another worker will begin it anew."""


@dataclass(frozen=True)
class Chore:
    """Something that one of the workers does every so many seconds. Doing it twice at once must do no harm."""

    name: str
    seconds: float
    run: Callable[[], object]


@dataclass(frozen=True)
class Handlers:
    """What the jobs are. All of them may be called again for the same job, after a crash in the midst of it.

    Attributes:
        process_split: given a split's id and an event; when that is set, it is to raise HandedBack soon.
        attempt_delivery: given a delivery's id; returns after how many seconds to call it again, or None.
        chores: what is to be done regularly.
    """

    process_split: Callable[[str, threading.Event], None]
    attempt_delivery: Callable[[str], float | None]
    chores: Sequence[Chore] = ()


class Worker:
    """One in each process, which ends with it.

    It takes over the jobs of workers that died: the eldest living worker looks for them.
    """

    def __init__(
        self, database: Database, settings: Settings, handlers: Handlers, models: Sequence[str] = ()
    ) -> None:
        self._database, self._settings, self._handlers = database, settings, handlers
        self._heart = Heartbeat(database, settings.lease_seconds, models, settings.device)
        self._stopping = threading.Event()
        self._abort = threading.Event()
        self._busy = 0
        self._idle = threading.Condition()

    def run(self, stop: threading.Event, close: Callable[[], object] = lambda: None) -> NoReturn:
        """Take jobs until ``stop`` is set; then finish the running ones, or hand them back, call ``close``, and end the
        process."""
        self._heart.start()
        self._launch()
        threading.Thread(target=self._look_after_others, name="maintenance", daemon=True).start()
        _log.info("worker %s takes jobs", self._heart.worker_id)
        stop.wait()
        self._drain()
        DBOS.destroy()
        self._hand_back()
        self._heart.stop()
        close()
        _log.info("worker %s has ended", self._heart.worker_id)
        logging.shutdown()
        os._exit(0)  # threads of jobs that were handed back are parked for good

    def _launch(self) -> None:
        config: DBOSConfig = {
            "name": APPLICATION,
            "system_database_url": self._database.url,
            "application_version": VERSION,
            "executor_id": self._heart.worker_id,
            "log_level": "WARNING",
        }
        logging.getLogger("dbos").addHandler(logging.NullHandler())  # else it writes lines of its own form
        DBOS(config=config)
        # attempts are counted with the split itself: the engine would only mark the job as dead
        DBOS.workflow(name=SPLITS, max_recovery_attempts=None)(lambda *args: self._split(*args))
        DBOS.workflow(name=DELIVERIES, max_recovery_attempts=None)(lambda *args: self._deliver(*args))
        DBOS.launch()
        DBOS.register_queue(
            SPLITS,
            worker_concurrency=1,
            partition_concurrency=self._settings.max_running_splits,
            polling_interval_sec=POLLING_SECONDS,
        )
        DBOS.register_queue(
            DELIVERIES,
            worker_concurrency=DELIVERIES_AT_ONCE,
            partition_worker_concurrency=DELIVERIES_OF_ONE_ACCOUNT,
            polling_interval_sec=POLLING_SECONDS,
        )

    def _split(self, split_id: str) -> None:
        self._perform(lambda: self._handlers.process_split(split_id, self._abort))

    def _deliver(self, delivery_id: str, account_id: str) -> None:
        delay = self._perform(lambda: self._handlers.attempt_delivery(delivery_id))
        if delay is not None:
            # a job of its own: one that sleeps would keep a thread, and a place among those that run, for a day
            DBOS.enqueue_workflow_with_options(
                {
                    "workflow_name": DELIVERIES,
                    "queue_name": DELIVERIES,
                    "queue_partition_key": account_id,
                    "app_version": VERSION,
                    "delay_seconds": delay,
                },
                delivery_id,
                account_id,
            )

    def _perform(self, job: Callable[[], Answer]) -> Answer:
        """Do a job, with patience for its surroundings: an exception would end it for good."""
        if self._stopping.is_set():
            _park()
        with self._idle:
            self._busy += 1
        try:
            for delay in RETRY_SECONDS:
                try:
                    return job()
                except HandedBack:
                    break
                except Exception:
                    _log.exception("a job failed, and is tried again in %d s", delay)
                    if self._stopping.wait(delay * random.uniform(0.8, 1.2)):
                        break
            else:
                return job()
        finally:
            with self._idle:
                self._busy -= 1
                self._idle.notify_all()
        return _park()

    def _drain(self) -> None:
        """Let running jobs finish, for as long as the settings say; have the others give up."""
        self._stopping.set()
        if not self._wait_idle(self._settings.stop_seconds):
            self._abort.set()
            self._wait_idle(HAND_BACK_SECONDS)

    def _wait_idle(self, seconds: float) -> bool:
        with self._idle:
            return self._idle.wait_for(lambda: self._busy == 0, timeout=seconds)

    def _hand_back(self) -> None:
        client = DBOSClient(system_database_url=self._database.url, application_name=APPLICATION, lazy=True)
        for job in recovery.hand_back(client, self._heart.worker_id):
            _log.info("job %s is handed back", job)
        client.destroy()

    def _look_after_others(self) -> None:
        chores = (
            Chore("forget finished jobs", 600, recovery.forget_finished),
            Chore("forget dead workers", 3600, self._heart.forget_dead),
            *self._handlers.chores,
        )
        due = dict.fromkeys((chore.name for chore in chores), 0.0)
        while not self._stopping.wait(self._heart.interval):
            try:
                if not self._heart.leads():
                    continue
                recovery.reap(self._heart.living)
            except Exception:
                _log.exception("looking after other workers failed, and is tried again")
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


def _park() -> NoReturn:
    """Wait for the process to end: what returns or raises is a job that ended."""
    while True:
        time.sleep(3600)
