"""Order of the queue: compared to a reference model, and its guarantees."""

import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from stemsplitter.accounts.models import Account
from stemsplitter.database import Database
from stemsplitter.jobs import queue, repository
from stemsplitter.jobs.models import FREE, LOW, PAYING, JobFlow, JobQueue, JobShare
from stemsplitter.splits.models import Split
from tests.splits.rows import new_split

ACCOUNTS = tuple(f"acc_{number}" for number in range(6))
MODELS = ("one", "two")
CAP = 2
FREE_EVERY = 3
TABLES = (Split, JobQueue, JobFlow, JobShare)
LIMIT_S = 60.0


@pytest.fixture
def accounts(database: Database) -> None:
    with database.write() as session:
        session.add_all(Account(id=name, email=f"{name}@example.org") for name in ACCOUNTS)


Add = Callable[..., str]


@pytest.fixture
def add(database: Database, accounts: None) -> Add:
    """Return a function that queues a split and returns its id."""

    def make(
        account: str, seconds: int = 10, model: str = "one", priority: int = FREE, name: str | None = None
    ) -> str:
        with database.write() as session:
            values = {"id": name} if name else {}
            split = new_split(
                account, duration_seconds=seconds, model_name=model, priority=priority, **values
            )
            queue.place(session, split)
            session.add(split)
        return split.id

    return make


def claim(
    database: Database, models: Sequence[str] = ("one",), cap: int = CAP, worker: str = "wrk_1"
) -> Split | None:
    with database.write() as session:
        return queue.claim(session, models, cap, FREE_EVERY, worker, f"run_{next(_runs)}")


_runs = count()


def end(database: Database, split: Split) -> None:
    with database.write() as session:
        assert repository.finish(session, split.id, split.lease, {"status": "succeeded"})


@dataclass
class Model:
    """Reference model: start-time fair queueing as in the paper, with lists, and every third contested turn for a free
    account."""

    waiting: list[tuple[int, int, str, str, str, int]] = field(default_factory=list)
    running: dict[str, tuple[str, int]] = field(default_factory=dict)
    paying_turns: int = 0
    clock: defaultdict[tuple[str, int], int] = field(default_factory=lambda: defaultdict(int))
    finish: defaultdict[tuple[str, int, str], int] = field(default_factory=lambda: defaultdict(int))

    def add(self, name: str, account: str, seconds: int, model: str, priority: int) -> None:
        start = max(self.clock[model, priority], self.finish[model, priority, account])
        self.finish[model, priority, account] = start + 1000 * seconds
        self.waiting.append((priority, start, name, account, model, seconds))

    def claim(self, models: Sequence[str]) -> str | None:
        ordinary = Counter(account for account, priority in self.running.values() if priority != LOW)
        of_any = Counter(account for account, _ in self.running.values())
        full = {account for account, number in ordinary.items() if number >= CAP}
        full_of_any = {account for account, number in of_any.items() if number >= CAP}
        heads = []
        for place, model in enumerate(models):
            fit = [
                each
                for each in self.waiting
                if each[4] == model and each[3] not in (full_of_any if each[0] == LOW else full)
            ]
            if fit:
                heads.append((min(fit)[0], place, min(fit)))
        if not heads:
            return None
        is_free_waiting = any(
            each[0] == FREE and each[4] in models and each[3] not in full for each in self.waiting
        )
        priority, _, chosen = min(heads)
        if priority == PAYING and is_free_waiting and self.paying_turns + 1 >= FREE_EVERY:
            place, chosen = min(
                (models.index(each[4]), each)
                for each in self.waiting
                if each[0] == FREE and each[4] in models and each[3] not in full
            )
            priority = FREE
        if priority == FREE:
            self.paying_turns = 0
        elif is_free_waiting:
            self.paying_turns += 1
        self.waiting.remove(chosen)
        self.running[chosen[2]] = chosen[3], priority
        self.clock[chosen[4], priority] = max(self.clock[chosen[4], priority], chosen[1])
        return chosen[2]


ADD = st.tuples(
    st.just("add"),
    st.sampled_from(ACCOUNTS[:3]),
    st.integers(1, 30),
    st.sampled_from(MODELS),
    st.sampled_from((PAYING, FREE, LOW)),
)
CLAIM = st.tuples(st.just("claim"), st.sampled_from((MODELS, MODELS[::-1], MODELS[:1])))
END = st.tuples(st.just("end"), st.integers(0, 5))
FORGET = st.tuples(st.just("forget"))


@given(steps=st.lists(st.one_of(ADD, ADD, CLAIM, END, FORGET), max_size=40))
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_order_matches_the_reference_model(
    database: Database, add: Add, steps: list[tuple[Any, ...]]
) -> None:
    with database.write() as session:
        for table in TABLES:
            session.execute(delete(table))
    model, running = Model(), dict[str, Split]()
    for number, (step, *arguments) in enumerate(steps):
        if step == "add":
            account, seconds, network, priority = arguments
            name = f"split_{number:03}"
            add(account, seconds, network, priority, name)
            model.add(name, account, seconds, network, priority)
        elif step == "claim":
            taken = claim(database, *arguments)
            assert (taken.id if taken else None) == model.claim(*arguments)
            if taken is not None:
                running[taken.id] = taken
        elif step == "end" and running:
            name = sorted(running)[arguments[0] % len(running)]
            end(database, running.pop(name))
            del model.running[name]
        elif step == "forget":
            with database.write() as session:
                queue.prune_flows(session)


@given(
    seconds=st.lists(
        st.lists(st.integers(1, 60), min_size=1, max_size=12), min_size=2, max_size=len(ACCOUNTS)
    )
)
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_waiting_accounts_get_equal_seconds(database: Database, add: Add, seconds: list[list[int]]) -> None:
    """The bound of the paper for equal weights: between any two accounts with queued splits, the claimed seconds differ
    by at most one split of each."""
    with database.write() as session:
        for table in TABLES:
            session.execute(delete(table))
    left, longest, taken = Counter[str](), dict[str, int](), Counter[str]()
    for account, lengths in zip(ACCOUNTS, seconds, strict=False):
        for length in lengths:
            add(account, length)
        left[account], longest[account] = len(lengths), max(lengths)
    while (split := claim(database)) is not None:
        end(database, split)
        taken[split.account_id] += split.duration_seconds
        left[split.account_id] -= 1
        waiting = [account for account in left if left[account]]
        for a in waiting:
            for b in waiting:
                assert abs(taken[a] - taken[b]) <= longest[a] + longest[b]
    assert not left.total()


def test_new_account_does_not_wait_behind_a_long_queue(database: Database, add: Add) -> None:
    for _ in range(50):
        add("acc_0")
    order = []
    for _ in range(2):
        order.append(claim(database))
    for account in ACCOUNTS[1:5]:
        for _ in range(2):
            add(account)
    while (split := claim(database, cap=99)) is not None:
        order.append(split)
    accounts = [split.account_id for split in order if split is not None]
    assert len(accounts) == 58
    assert max(accounts.index(account) for account in ACCOUNTS[1:5]) < 8


def test_frequent_accounts_do_not_starve_a_waiting_one(database: Database, add: Add) -> None:
    """One worker, five accounts that always have one queued split, and one that queued three before."""
    for _ in range(3):
        add("acc_0", 100)
    for account in ACCOUNTS[1:]:
        add(account, 100)
    taken = []
    for _ in range(20):
        split = claim(database)
        assert split is not None
        taken.append(split.account_id)
        end(database, split)
        if split.account_id != "acc_0":
            add(split.account_id, 100)
    assert taken.count("acc_0") == 3
    assert taken[:13].count("acc_0") >= 2


def test_unused_share_is_not_saved_up(database: Database, add: Add) -> None:
    for _ in range(4):
        add("acc_0")
        split = claim(database)
        assert split is not None
        end(database, split)
    add("acc_0")
    for _ in range(4):
        add("acc_1")
    first = [split.account_id for _ in range(4) if (split := claim(database, cap=99))]
    assert first == ["acc_1", "acc_0", "acc_1", "acc_1"]


def test_paying_accounts_come_first(database: Database, add: Add) -> None:
    waiting = [add("acc_0"), add("acc_1")]
    paying = [add("acc_2", priority=PAYING), add("acc_2", priority=PAYING)]
    order = [split.id for _ in range(4) if (split := claim(database))]
    assert order == paying + waiting


def test_low_priority_comes_last_and_takes_no_turn_of_its_account(database: Database, add: Add) -> None:
    low = [add("acc_0", priority=LOW) for _ in range(CAP + 1)]
    assert [split.id for _ in range(3) if (split := claim(database))] == low[:CAP]
    waiting = add("acc_0")
    with database.read() as session:
        assert queue.waiting(session, MODELS, CAP, queue.ORDINARY) == {waiting}
    first = claim(database)  # although as many splits of the account run as may
    assert first is not None and first.id == waiting
    later = [add("acc_1", priority=LOW), add("acc_1"), add("acc_2", priority=PAYING)]
    order = [split.id for _ in range(3) if (split := claim(database))]
    assert order == [later[2], later[1], later[0]]


@given(
    adds=st.lists(st.tuples(st.sampled_from((PAYING, FREE)), st.sampled_from(MODELS)), max_size=40),
    workers=st.lists(st.sampled_from((MODELS, MODELS[::-1], MODELS[:1], MODELS[1:])), max_size=60),
)
@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_one_contested_turn_in_a_few_is_of_a_free_account(
    database: Database, add: Add, adds: list[tuple[int, str]], workers: list[tuple[str, ...]]
) -> None:
    """Of the claims for which splits of both kinds wait, no FREE_EVERY in a row are of paying accounts."""
    with database.write() as session:
        for table in TABLES:
            session.execute(delete(table))
    waiting = Counter[tuple[int, str]]()
    for number, (priority, model) in enumerate(adds):
        add(ACCOUNTS[number % 3 + 3 * (priority == FREE)], 10, model, priority)
        waiting[priority, model] += 1
    in_a_row = 0
    for models in workers:
        is_contested = all(any(waiting[priority, model] for model in models) for priority in (PAYING, FREE))
        split = claim(database, models, cap=99)
        if split is None:
            assert not any(waiting[priority, model] for priority in (PAYING, FREE) for model in models)
            continue
        waiting[split.priority, str(split.model_name)] -= 1
        if split.priority == FREE:
            in_a_row = 0
        elif is_contested:
            in_a_row += 1
        assert in_a_row < FREE_EVERY


def test_free_accounts_can_have_no_share(database: Database, add: Add) -> None:
    add("acc_0")
    for _ in range(6):
        add("acc_1", priority=PAYING)
    order = []
    for number in range(7):
        with database.write() as session:
            split = queue.claim(session, ["one"], 99, 0, "wrk_1", f"run_none_{number}")
        assert split is not None
        order.append(split.priority)
    assert order == [PAYING] * 6 + [FREE]


def test_only_splits_of_the_given_models_are_claimed(database: Database, add: Add) -> None:
    split_id = add("acc_0", model="two")
    assert claim(database, ["one"]) is None
    taken = claim(database, ["one", "two"])
    assert taken is not None and taken.id == split_id


def test_canceled_splits_do_not_delay_their_account(database: Database, add: Add) -> None:
    many = [add("acc_0") for _ in range(10)]
    with database.write() as session:
        for split_id in many:
            repository.finish(session, split_id, None, {"status": "failed"})
    add("acc_0")
    add("acc_1")
    first = claim(database)
    assert first is not None and (first.account_id, first.turn) == ("acc_0", 0)


def test_requeued_split_keeps_its_turn(database: Database, add: Add) -> None:
    first, second = add("acc_0"), add("acc_0")
    taken = claim(database)
    assert taken is not None and taken.id == first
    with database.write() as session:
        assert repository.requeue(session, first, taken.lease)
    again, other = claim(database), claim(database)
    assert again is not None and (again.id, again.attempts) == (first, 2)
    assert other is not None and other.id == second


def test_flows_that_the_clock_has_passed_are_pruned(database: Database, add: Add) -> None:
    for account in ("acc_0", "acc_1", "acc_0"):
        add(account)
    for _ in range(3):
        claim(database)
    with database.write() as session:
        queue.prune_flows(session)
    with database.read() as session:
        assert list(session.scalars(select(JobFlow.account_id))) == ["acc_0"]


def test_concurrent_claims_give_each_split_once_within_the_cap(database: Database, add: Add) -> None:
    """Eight workers with their own connections, like processes."""
    ids = {add(account, seconds) for account in ACCOUNTS for seconds in (1, 2, 3, 4)}
    together = threading.Barrier(8)
    taken: list[str] = []
    most: list[int] = []
    failures: list[BaseException] = []

    def work(number: int) -> None:
        own = Database(database.url)
        try:
            together.wait(timeout=30)
            misses, end_at = 0, time.monotonic() + LIMIT_S
            while misses < 3 or len(taken) < len(ids):
                with own.write() as session:
                    split = queue.claim(
                        session, ["one"], CAP, FREE_EVERY, f"wrk_{number}", f"run_{number}_{len(taken)}"
                    )
                    if split is not None:
                        most.append(_running(session, split.account_id))
                if split is None:
                    misses += 1
                    assert time.monotonic() < end_at
                    time.sleep(0.005)  # those who have one are let go on
                    continue
                taken.append(split.id)
                end(own, split)
        except BaseException as error:
            failures.append(error)
        finally:
            own.close()

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=2 * LIMIT_S)
    assert failures == []
    assert sorted(taken) == sorted(ids)
    assert 1 <= max(most) <= CAP


def _running(session: Session, account_id: str) -> int:
    query = select(Split.id).where(Split.status == "processing", Split.account_id == account_id)
    return len(session.scalars(query).all())
