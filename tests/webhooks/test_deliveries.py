"""Deliveries by workers: complete, exclusive and fair among accounts."""

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.orm import Session

from stemsplitter.accounts.models import Account
from stemsplitter.database import Database
from stemsplitter.fetching import PostResult
from stemsplitter.webhooks import attempts, service
from stemsplitter.webhooks import deliveries as module
from stemsplitter.webhooks.deliveries import MAX_CONCURRENT, MAX_CONCURRENT_PER_ACCOUNT, Deliveries
from tests.webhooks.world import SPLIT, World

LIMIT_S = 60.0


class Receivers:
    """A fetcher whose receivers behave as their URL says, and which records the requests in order."""

    def __init__(self) -> None:
        self.seen: list[str] = []
        self.ids: dict[str, set[str]] = {}
        self.overlaps: list[str] = []
        self.most: Counter[str] = Counter()
        self.open = threading.Event()
        self._now: Counter[str] = Counter()
        self._lock = threading.Lock()

    def post(self, url: str, body: bytes, headers: Mapping[str, str], timeout_s: float) -> PostResult:
        host = url.split("/")[2]
        with self._lock:
            self.seen.append(url)
            self.ids.setdefault(url, set()).add(headers["webhook-id"])
            if self._now[url]:
                self.overlaps.append(url)
            self._now.update((url, host))
            self.most[host] = max(self.most[host], self._now[host])
            fails = "fails" in url and self.seen.count(url) <= 2
        if "hangs" in url:
            assert self.open.wait(LIMIT_S)
        with self._lock:
            self._now.subtract((url, host))
        return PostResult(500 if fails else 200, {}, "")


class Flaky:
    """A database that can be unavailable."""

    def __init__(self, database: Database) -> None:
        self._database, self.tries, self.away = database, 0, False

    def read(self) -> AbstractContextManager[Session]:
        if self.away:
            self.tries += 1
            raise OSError("the database is away")
        return self._database.read()

    def write(self) -> AbstractContextManager[Session]:
        return self._database.write()


class Scene:
    """Accounts, deliveries, and workers that post them."""

    def __init__(self, database: Database, stack: ExitStack) -> None:
        self.world, self.receivers, self._stack = World(database, ""), Receivers(), stack
        self.service = self.world.with_fetcher(self.receivers)

    def create(self, url: str, account_id: str = "acc_1") -> str:
        """Create a delivery to its own URL."""
        return self.world.create(f"http://{url}", {**SPLIT, "id": f"split_{url}"}, account_id)

    def work(self, database: Database | Flaky | None = None) -> Deliveries:
        made = Deliveries(database or self.world.database, self.service)  # type: ignore[arg-type]
        made.start()
        self._stack.callback(self._end, made)
        return made

    def wait(self, true: Callable[[], bool]) -> None:
        deadline = time.monotonic() + LIMIT_S
        while not true():
            assert time.monotonic() < deadline, self.receivers.seen
            time.sleep(0.02)

    def wait_ended(self, *delivery_ids: str, account_id: str = "acc_1") -> None:
        self.wait(
            lambda: all(self.world.delivery(each, account_id).status == "delivered" for each in delivery_ids)
        )

    def _end(self, deliveries: Deliveries) -> None:
        self.receivers.open.set()
        deliveries.stop()
        assert deliveries.wait_idle(LIMIT_S)


@pytest.fixture
def scene(database: Database) -> Iterator[Scene]:
    with ExitStack() as stack:
        yield Scene(database, stack)


def test_due_deliveries_are_posted(scene: Scene) -> None:
    before = scene.create("r/before")
    scene.work()
    scene.wait_ended(before)
    meanwhile = scene.create("r/meanwhile")
    scene.wait_ended(meanwhile)
    assert scene.receivers.seen == ["http://r/before", "http://r/meanwhile"]


def test_event_arrives_with_one_id_from_one_worker_at_a_time(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three workers, like three processes; half of the receivers respond with 200 to the third attempt only."""
    monkeypatch.setattr(attempts, "DELAYS_S", (0.1,) * 10)
    made = [scene.create(f"r/{'fails' if number % 2 else 'fine'}{number}") for number in range(12)]
    with ExitStack() as stack:
        for _ in range(3):
            own = Database(scene.world.database.url)
            stack.callback(own.close)
            worker = scene.work(own)
            stack.callback(worker.wait_idle, LIMIT_S)
            stack.callback(worker.stop)
        scene.wait_ended(*made)
    seen = Counter(scene.receivers.seen)
    assert len(seen) == 12 and scene.receivers.overlaps == []
    assert all(times == (3 if "fails" in url else 1) for url, times in seen.items())
    ids = scene.receivers.ids.values()
    assert all(len(each) == 1 for each in ids) and len(set().union(*ids)) == 12


def test_hanging_receivers_do_not_delay_other_accounts(scene: Scene) -> None:
    hanging = [scene.create(f"a/hangs{number}") for number in range(10)]
    scene.work()
    scene.wait(lambda: len(scene.receivers.seen) == MAX_CONCURRENT_PER_ACCOUNT)
    others = [scene.create(f"b/{number}", "acc_2") for number in range(10)]
    scene.wait_ended(*others, account_id="acc_2")
    assert scene.receivers.most["a"] == MAX_CONCURRENT_PER_ACCOUNT
    scene.receivers.open.set()
    scene.wait_ended(*hanging)
    assert scene.receivers.most["a"] == MAX_CONCURRENT_PER_ACCOUNT


def test_new_account_waits_one_turn_and_not_the_backlog(scene: Scene) -> None:
    """Twice as many accounts as threads, each with eight older deliveries, of which the first hang."""
    accounts = [f"acc_0_{number}" for number in range(2 * MAX_CONCURRENT)]
    with scene.world.database.write() as session:
        session.add_all(Account(id=each, email=f"{each}@example.com") for each in accounts)
    backlog = [
        scene.create(f"{account}/{'fine' if number else 'hangs'}{number}", account)
        for number in range(8)
        for account in accounts
    ]
    turns: list[str] = []
    claim = scene.service.claim

    def note(session: Session, delivery_ids: Collection[str]) -> Sequence[str]:
        claimed = claim(session, delivery_ids)
        turns.extend(claimed)
        return claimed

    scene.service.claim = note  # type: ignore[method-assign]
    scene.work()
    scene.wait(lambda: len(turns) == MAX_CONCURRENT)
    late = scene.create("late/1")
    scene.receivers.open.set()
    scene.wait_ended(late)
    # those in progress, and at most one of each other account
    assert turns.index(late) <= MAX_CONCURRENT + len(accounts) < len(backlog)


def test_deliveries_of_a_dead_worker_are_posted_after_their_lease(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "LEASE", timedelta(seconds=2))
    delivery_id = scene.create("r/1")
    assert scene.world.claim(delivery_id) == [delivery_id]  # by a worker that then died
    monkeypatch.setattr(service, "LEASE", timedelta(seconds=60))
    leased_until = scene.world.delivery(delivery_id).next_attempt_at
    scene.work()
    scene.wait_ended(delivery_id)
    [attempt] = scene.world.log(delivery_id)
    assert leased_until and attempt.at >= leased_until


def test_attempt_with_an_unexpected_error_is_repeated(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(service, "LEASE", timedelta(seconds=1))
    faults = iter([OSError("the database is away")])
    attempt = scene.service.attempt

    def faulty(delivery_id: str) -> float | None:
        for fault in faults:
            raise fault
        return attempt(delivery_id)

    monkeypatch.setattr(scene.service, "attempt", faulty)
    delivery_id = scene.create("r/1")
    worker = scene.work()
    scene.wait_ended(delivery_id)
    assert worker.wait_idle(LIMIT_S)
    [said] = [each.message for each in caplog.records if each.name == module.__name__]
    assert said == f"webhook delivery {delivery_id} failed unexpectedly; retry when its lease expires"


def test_deliveries_continue_after_a_database_outage(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("stemsplitter.worker.retry.DELAYS", (0.01, 0.02))
    caplog.set_level(logging.WARNING, logger=module.__name__)
    flaky = Flaky(scene.world.database)
    scene.work(flaky)
    flaky.away = True
    scene.wait(lambda: flaky.tries >= 1)  # the outage was met
    delivery_id = scene.create("r/1")
    scene.wait(lambda: flaky.tries >= 4)
    assert scene.receivers.seen == []
    flaky.away = False
    scene.wait_ended(delivery_id)
    said = [each.getMessage() for each in caplog.records if each.name == module.__name__]
    assert len(said) == flaky.tries
    assert said[0].endswith("in 0.01 s") and all(each.endswith("in 0.02 s") for each in said[1:])


def test_stopped_worker_finishes_its_claims_and_claims_no_more(scene: Scene) -> None:
    running = [scene.create(f"r/hangs{number}") for number in range(5)]
    worker = scene.work()
    scene.wait(lambda: len(scene.receivers.seen) == MAX_CONCURRENT_PER_ACCOUNT)
    worker.stop()
    assert not worker.wait_idle(0.1)
    scene.receivers.open.set()
    assert worker.wait_idle(LIMIT_S)
    time.sleep(2 * module.POLLING_SECONDS)
    statuses = Counter(scene.world.delivery(each).status for each in running)
    assert statuses == {"delivered": MAX_CONCURRENT_PER_ACCOUNT, "pending": 5 - MAX_CONCURRENT_PER_ACCOUNT}


ACCOUNTS = st.sampled_from("abcdefghijkl")


@given(
    st.lists(ACCOUNTS, max_size=30),
    st.lists(ACCOUNTS, max_size=MAX_CONCURRENT),
    st.sets(ACCOUNTS),
)
def test_account_whose_turn_is_longest_ago_is_next(
    served: list[str], running: list[str], waiting: set[str]
) -> None:
    """The choice is limited by threads and per account, longest wait first."""
    made = Deliveries(None, None)  # type: ignore[arg-type]
    made._turns = {account: turn for turn, account in enumerate(served, start=1)}
    made._running = Counter(running)
    chosen = list(made._choose({f"dlv_{account}": account for account in waiting}).values())
    may = {account for account in waiting if running.count(account) < MAX_CONCURRENT_PER_ACCOUNT}
    assert set(chosen) <= may and len(chosen) == min(len(may), MAX_CONCURRENT - len(running))

    def turn(account: str) -> int:
        return made._turns.get(account, 0)

    assert [turn(each) for each in chosen] == sorted(turn(each) for each in chosen)
    assert all(turn(out) >= turn(each) for out in may - set(chosen) for each in chosen)
