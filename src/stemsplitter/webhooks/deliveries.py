"""Webhooks of a worker: claimed from their own rows, posted by a few threads, shared fairly among accounts."""

import logging
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

from stemsplitter.database import Database
from stemsplitter.webhooks.service import WebhookService
from stemsplitter.worker import backoff

AT_ONCE = 8
# at once in one worker: receivers that take all of their time hold up nobody else's deliveries
OF_ONE_ACCOUNT = 3
POLLING_SECONDS = 0.2
# of how many accounts it is known when they had their last turn
REMEMBERED = 10_000

_log = logging.getLogger(__name__)


class Deliveries:
    """Posts what is due, until it is stopped. Any number of workers may do so: a claim is a lease of the row.

    Accounts take turns, whatever the age of their deliveries: the one that had its last turn the longest ago is next.
    So whoever has thousands, or receivers that do not answer, delays the others by a turn and not by their backlog.
    """

    def __init__(self, database: Database, webhooks: WebhookService) -> None:
        self._database, self._webhooks = database, webhooks
        self._thread = threading.Thread(target=self._run, name="deliveries", daemon=True)
        self._pool = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="delivery")
        self._stopping = threading.Event()
        self._woken = threading.Event()
        self._changed = threading.Condition()
        self._claiming = False
        self._running: Counter[str] = Counter()
        self._turn = 0
        self._turns: dict[str, int] = {}

    def start(self) -> None:
        """Begin to take what is due."""
        self._thread.start()

    def stop(self) -> None:
        """Take no more. What was taken is still posted: see :meth:`wait_idle`."""
        self._stopping.set()
        self._woken.set()

    def wait_idle(self, seconds: float) -> bool:
        """Wait until nothing that was taken is still under way; returns whether that came within ``seconds``.

        What is under way when the process ends is posted again by another worker, once its lease has ended.
        """
        with self._changed:
            return self._changed.wait_for(lambda: not self._claiming and not self._running, timeout=seconds)

    def _run(self) -> None:
        failures = 0
        while not self._stopping.is_set():
            self._woken.clear()
            try:
                took = self._take()
            except Exception:
                delay = backoff.pause(failures)
                failures += 1
                _log.exception("the deliveries that are due cannot be taken; tried again in %g s", delay)
                self._stopping.wait(delay)
                continue
            failures = 0
            if not took:
                self._woken.wait(POLLING_SECONDS)
        self._pool.shutdown(wait=False)

    def _take(self) -> int:
        """Claim one delivery of each account whose turn it is, and begin to post them; returns how many."""
        with self._changed:
            if self._stopping.is_set() or self._running.total() >= AT_ONCE:
                return 0
            self._claiming = True
        try:
            with self._database.read() as session:
                chosen = self._choose(self._webhooks.due(session))
            if not chosen:
                return 0
            with self._database.write() as session:
                claimed = self._webhooks.claim(session, list(chosen))
            for delivery_id in claimed:
                self._begin(delivery_id, chosen[delivery_id])
            return len(claimed)
        finally:
            with self._changed:
                self._claiming = False
                self._changed.notify_all()

    def _choose(self, due: dict[str, str]) -> dict[str, str]:
        """Of the deliveries, each of another account, those that there are threads for."""
        with self._changed:
            free = AT_ONCE - self._running.total()
            open_to = [item for item in due.items() if self._running[item[1]] < OF_ONE_ACCOUNT]
        open_to.sort(key=lambda item: self._turns.get(item[1], 0))
        return dict(open_to[:free])

    def _begin(self, delivery_id: str, account_id: str) -> None:
        self._turn += 1
        self._turns.pop(account_id, None)  # else it would keep its old place in the order of forgetting
        self._turns[account_id] = self._turn
        if len(self._turns) > REMEMBERED:
            del self._turns[next(iter(self._turns))]
        with self._changed:
            self._running[account_id] += 1
        self._pool.submit(self._attempt, delivery_id, account_id)

    def _attempt(self, delivery_id: str, account_id: str) -> None:
        try:
            self._webhooks.attempt(delivery_id)
        except Exception:
            _log.exception(
                "webhook delivery %s met a fault; it is tried again when its lease ends", delivery_id
            )
        finally:
            with self._changed:
                self._running[account_id] -= 1
                self._running += Counter()  # drops who has none
                self._changed.notify_all()
            self._woken.set()
