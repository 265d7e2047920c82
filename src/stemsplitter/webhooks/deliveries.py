"""The deliverer of webhooks in a worker: claims due deliveries and posts them in threads, fairly among accounts."""

import logging
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

from stemsplitter.database import Database
from stemsplitter.webhooks.service import WebhookService
from stemsplitter.worker import retry

MAX_CONCURRENT = 8
# so that slow receivers of one account do not delay the deliveries of others
MAX_CONCURRENT_PER_ACCOUNT = 3
POLLING_SECONDS = 0.2
# accounts whose last turn is known
MAX_TURNS = 10_000

_log = logging.getLogger(__name__)


class Deliveries:
    """Posts due deliveries until it is stopped. Any number of workers may run one, as a claim is a lease of the row.

    Accounts take turns, regardless of the age of their deliveries: next is the account whose last turn was longest
    ago. An account with a long backlog, or with receivers that do not respond, delays the others by one turn.
    """

    def __init__(self, database: Database, webhooks: WebhookService) -> None:
        self._database, self._webhooks = database, webhooks
        self._thread = threading.Thread(target=self._run, name="deliveries", daemon=True)
        self._pool = ThreadPoolExecutor(MAX_CONCURRENT, thread_name_prefix="delivery")
        self._stopping = threading.Event()
        self._woken = threading.Event()
        self._changed = threading.Condition()
        self._claiming = False
        self._running: Counter[str] = Counter()
        self._turn = 0
        self._turns: dict[str, int] = {}

    def start(self) -> None:
        """Start to claim and post deliveries."""
        self._thread.start()

    def stop(self) -> None:
        """Claim no more deliveries. Those claimed are still posted: see :meth:`wait_idle`."""
        self._stopping.set()
        self._woken.set()

    def wait_idle(self, seconds: float) -> bool:
        """Wait for the deliveries in progress. False if some are left after ``seconds``.

        Another worker posts those that the end of the process interrupts, when their leases expire.
        """
        with self._changed:
            return self._changed.wait_for(lambda: not self._claiming and not self._running, timeout=seconds)

    def _run(self) -> None:
        failures = 0
        while not self._stopping.is_set():
            self._woken.clear()
            try:
                claimed = self._claim()
            except Exception:
                delay = retry.delay(failures)
                failures += 1
                _log.exception("due deliveries cannot be claimed; retry in %g s", delay)
                self._stopping.wait(delay)
                continue
            failures = 0
            if not claimed:
                self._woken.wait(POLLING_SECONDS)
        self._pool.shutdown(wait=False)

    def _claim(self) -> int:
        """Claim one delivery of each account whose turn it is, start to post them, and return their number."""
        with self._changed:
            if self._stopping.is_set() or self._running.total() >= MAX_CONCURRENT:
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
                self._start(delivery_id, chosen[delivery_id])
            return len(claimed)
        finally:
            with self._changed:
                self._claiming = False
                self._changed.notify_all()

    def _choose(self, due: dict[str, str]) -> dict[str, str]:
        """Choose, from one due delivery per account, those that there are threads for."""
        with self._changed:
            free = MAX_CONCURRENT - self._running.total()
            eligible = [item for item in due.items() if self._running[item[1]] < MAX_CONCURRENT_PER_ACCOUNT]
        eligible.sort(key=lambda item: self._turns.get(item[1], 0))
        return dict(eligible[:free])

    def _start(self, delivery_id: str, account_id: str) -> None:
        self._turn += 1
        self._turns.pop(account_id, None)  # moves it to the end of the order in which turns are dropped
        self._turns[account_id] = self._turn
        if len(self._turns) > MAX_TURNS:
            del self._turns[next(iter(self._turns))]
        with self._changed:
            self._running[account_id] += 1
        self._pool.submit(self._attempt, delivery_id, account_id)

    def _attempt(self, delivery_id: str, account_id: str) -> None:
        try:
            self._webhooks.attempt(delivery_id)
        except Exception:
            _log.exception(
                "webhook delivery %s failed unexpectedly; retry when its lease expires", delivery_id
            )
        finally:
            with self._changed:
                self._running[account_id] -= 1
                self._running += Counter()  # drops zeros
                self._changed.notify_all()
            self._woken.set()
