"""Invariants of the ledger under concurrency, repetition and crashes."""

import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    invariant,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import func, select

from stemsplitter.accounts.models import Account
from stemsplitter.credits.models import LedgerEntry
from stemsplitter.credits.service import CreditService
from stemsplitter.database import Database, new_id
from stemsplitter.service_errors import Conflict, InsufficientCredits
from stemsplitter.settings import Settings
from tests.credits import ledger_moves
from tests.credits.ledger_moves import SPLITS, Move, check, make, random_moves

CREDITS = CreditService(Settings(metering=True))


def add_accounts(database: Database, count: int, credits: int = 600) -> list[str]:
    accounts = []
    with database.write() as session:
        for number in range(count):
            account = Account(email=f"{number:03}@example.com")
            session.add(account)
            session.flush()
            CREDITS.grant(session, account.id, credits)
            accounts.append(account.id)
    return accounts


class Ledger(RuleBasedStateMachine):
    """An account and its model: a dictionary of holds and a balance."""

    database: Database
    splits = Bundle("splits")

    def __init__(self) -> None:
        super().__init__()
        with self.database.write() as session:
            account = Account(email=f"{new_id('x')}@example.com".lower())
            session.add(account)
            session.flush()
            self.account = account.id
        self.balance = 0
        self.ends: dict[str, tuple[int, str]] = {}

    @rule(amount=st.integers(-500, 500).filter(bool))
    def grant(self, amount: int) -> None:
        with self.database.write() as session:
            if self.balance + amount >= 0:
                CREDITS.grant(session, self.account, amount)
                self.balance += amount
            else:
                with pytest.raises(Conflict):
                    CREDITS.grant(session, self.account, amount)

    @rule(target=splits, cost=st.integers(0, 400))
    def hold(self, cost: int) -> str:
        split = new_id("split")
        with self.database.write() as session:
            if cost <= self.balance:
                assert CREDITS.hold(session, self.account, split, cost) == cost
                self.balance -= cost
                self.ends[split] = (cost, "hold")
            else:
                with pytest.raises(InsufficientCredits) as caught:
                    CREDITS.hold(session, self.account, split, cost)
                assert caught.value.details["balance"] == self.balance
        return split

    @rule(split=splits, cost=st.integers(0, 400))
    def hold_again(self, split: str, cost: int) -> None:
        if split in self.ends:
            with self.database.write() as session:
                assert CREDITS.hold(session, self.account, split, cost) == self.ends[split][0]

    @rule(split=splits, kind=st.sampled_from(["settle", "release"]))
    def end(self, split: str, kind: str) -> None:
        with self.database.write() as session:
            call = CREDITS.settle if kind == "settle" else CREDITS.release
            if split not in self.ends:
                with pytest.raises(LookupError):
                    call(session, split)
                return
            cost, state = self.ends[split]
            assert call(session, split) == (state in ("hold", kind))
            if state == "hold":
                self.ends[split] = (cost, kind)
                self.balance += cost if kind == "release" else 0

    @rule(split=consumes(splits), kind=st.sampled_from(["settle", "release", "hold"]))
    def crash(self, split: str, kind: str) -> None:
        """A rolled back transaction has no effect."""
        with pytest.raises(ledger_moves.Crashed), self.database.write() as session:
            CREDITS.grant(session, self.account, 1000)
            CREDITS.hold(session, self.account, new_id("split"), 999)
            if split in self.ends and kind != "hold":
                getattr(CREDITS, kind)(session, split)
            raise ledger_moves.Crashed

    @invariant()
    def the_ledger_is_as_the_model(self) -> None:
        with self.database.read() as session:
            assert CREDITS.balance(session, self.account) == self.balance >= 0
            assert CREDITS.audit(session) == []
            rows = session.execute(
                select(LedgerEntry.split_id, func.sum(LedgerEntry.amount))
                .where(LedgerEntry.account_id == self.account, LedgerEntry.split_id.is_not(None))
                .group_by(LedgerEntry.split_id)
            ).all()
        sums = {row[0]: row[1] for row in rows}
        assert sums == {
            split: 0 if state == "release" else -cost for split, (cost, state) in self.ends.items()
        }


def test_sequential_moves_keep_the_invariants(database: Database) -> None:
    machine = type("MachineOnThisDatabase", (Ledger,), {"database": database})
    run_state_machine_as_test(
        machine, settings=settings(max_examples=25, stateful_step_count=25, deadline=None)
    )


MOVES = st.lists(
    st.builds(
        Move,
        kind=st.sampled_from(["hold", "hold", "settle", "release", "grant", "purchase"]),
        split=st.integers(0, SPLITS - 1),
        amount=st.sampled_from(ledger_moves.COSTS),
        crash=st.booleans(),
    ),
    max_size=12,
)


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(schedules=st.lists(MOVES, min_size=2, max_size=4))
def test_concurrent_threads_keep_the_invariants(database: Database, schedules: list[list[Move]]) -> None:
    """Examples share a ledger, as the invariants hold for any state."""
    with database.read() as session:
        accounts = list(session.scalars(select(Account.id).order_by(Account.email)))
    accounts = accounts or add_accounts(database, 2)
    run_at_once(database, accounts, schedules)


def test_concurrent_threads_on_the_same_splits_keep_the_invariants(database: Database) -> None:
    accounts = add_accounts(database, 2)
    run_at_once(database, accounts, [random_moves(seed, 40) for seed in range(8)])
    with database.read() as session:  # moves were made
        assert session.scalar(select(func.count()).where(LedgerEntry.kind == "settle")) > 0  # type: ignore[operator]
        assert session.scalar(select(func.count()).where(LedgerEntry.kind == "release")) > 0  # type: ignore[operator]


def run_at_once(database: Database, accounts: list[str], schedules: list[list[Move]]) -> None:
    """Every second thread has its own engine, like another process; one more thread checks the invariants."""
    other = Database(database.url)
    together = threading.Barrier(len(schedules) + 1)
    finished = threading.Event()
    failures: list[BaseException] = []

    def move(own: Database, moves: list[Move]) -> None:
        try:
            together.wait(timeout=30)
            for each in moves:
                make(own, CREDITS, accounts, each)
        except BaseException as error:
            failures.append(error)

    def watch() -> None:
        try:
            together.wait(timeout=30)
            while not finished.wait(0.005):
                with database.read() as session:
                    check(session, CREDITS)
        except BaseException as error:
            failures.append(error)

    threads = [
        threading.Thread(target=move, args=((database, other)[number % 2], moves))
        for number, moves in enumerate(schedules)
    ]
    watcher = threading.Thread(target=watch)
    for thread in (*threads, watcher):
        thread.start()
    for thread in threads:
        thread.join(timeout=120)
    finished.set()
    watcher.join(timeout=30)
    assert failures == []
    assert not any(thread.is_alive() for thread in (*threads, watcher))
    with database.read() as session:
        check(session, CREDITS)
    other.close()


@pytest.mark.parametrize("attempt", range(5))
def test_one_balance_covers_one_of_many_holds(database: Database, attempt: int) -> None:
    """Ten concurrent splits of 100 credits, with credits for three."""
    (account,) = add_accounts(database, 1, credits=350)
    together = threading.Barrier(10)
    outcomes: list[str] = []

    def create(number: int) -> None:
        together.wait(timeout=30)
        try:
            with database.write() as session:
                CREDITS.hold(session, account, f"split_{number}", 100)
            outcomes.append("held")
        except InsufficientCredits:
            outcomes.append("refused")

    run_threads(create, 10)
    assert sorted(outcomes) == ["held"] * 3 + ["refused"] * 7
    with database.read() as session:
        assert CREDITS.balance(session, account) == 50


@pytest.mark.parametrize("attempt", range(5))
def test_exactly_one_of_concurrent_settle_and_release_succeeds(database: Database, attempt: int) -> None:
    (account,) = add_accounts(database, 1)
    with database.write() as session:
        CREDITS.hold(session, account, "split_1", 200)
    together = threading.Barrier(8)
    outcomes: list[tuple[str, bool]] = []

    def end(number: int) -> None:
        together.wait(timeout=30)
        name = ("settle", "release")[number % 2]
        with database.write() as session:
            outcomes.append((name, getattr(CREDITS, name)(session, "split_1")))

    run_threads(end, 8)
    winners = {name for name, won in outcomes if won}
    assert len(winners) == 1 and len(outcomes) == 8
    assert all(won == (name in winners) for name, won in outcomes)
    with database.read() as session:
        assert CREDITS.balance(session, account) == (400 if winners == {"settle"} else 600)


def run_threads(target: object, count: int) -> None:
    threads = [threading.Thread(target=target, args=(number,)) for number in range(count)]  # type: ignore[arg-type]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert not any(thread.is_alive() for thread in threads)


def test_killed_process_leaves_the_invariants(database: Database) -> None:
    accounts = add_accounts(database, 3)
    worker = Path(ledger_moves.__file__)
    processes = [
        subprocess.Popen(
            [sys.executable, str(worker), database.url, str(seed), moves], stdout=subprocess.PIPE, text=True
        )
        for seed, moves in ((1, "80"), (2, "80"), (3, "100000"))
    ]
    *steady, doomed = processes
    try:
        assert doomed.stdout is not None and doomed.stdout.readline() == "ready\n"
        time.sleep(0.5)
        doomed.kill()
        assert doomed.wait(timeout=30) < 0
        for process in steady:
            output, _ = process.communicate(timeout=120)
            assert process.returncode == 0
            assert int(output.split()[1]) > 0
    finally:
        for process in processes:
            process.kill()
            process.communicate(timeout=30)
    with database.read() as session:
        check(session, CREDITS)
        assert session.scalar(select(func.count()).select_from(LedgerEntry)) > len(accounts)  # type: ignore[operator]
