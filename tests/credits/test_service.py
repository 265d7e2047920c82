from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select, text, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from stemsplitter import account_ids
from stemsplitter.accounts.models import Account
from stemsplitter.credits import service as module
from stemsplitter.credits.models import LedgerEntry
from stemsplitter.credits.service import MAX_AMOUNT, TEST_BALANCE, CreditService, Discrepancy
from stemsplitter.database import Database
from stemsplitter.service_errors import Conflict, InsufficientCredits, NotFound, ValidationFailed
from stemsplitter.settings import Settings


@pytest.fixture
def credits() -> CreditService:
    return CreditService(Settings(metering=True))


@pytest.fixture
def account(database: Database) -> str:
    return add_account(database, "song@example.com")


def add_account(database: Database, email: str) -> str:
    with database.write() as session:
        account = Account(email=email)
        session.add(account)
        session.flush()
        return account.id


def entries(session: Session, account_id: str) -> list[tuple[str, int, str | None]]:
    rows = session.scalars(
        select(LedgerEntry)
        .where(LedgerEntry.account_id == account_id)
        .order_by(LedgerEntry.created_at, LedgerEntry.id)
    )
    return [(row.kind, row.amount, row.split_id) for row in rows]


def test_succeeded_split_costs_its_hold(database: Database, credits: CreditService, account: str) -> None:
    with database.write() as session:
        credits.grant(session, account, 600)
        assert credits.hold(session, account, "split_1", 214) == 214
        assert credits.balance(session, account) == 386
        assert credits.settle(session, "split_1")
        assert credits.balance(session, account) == 386
        assert sorted(entries(session, account)) == [
            ("grant", 600, None),
            ("hold", -214, "split_1"),
            ("settle", 0, "split_1"),
        ]


def test_test_account_has_a_balance_and_no_ledger(
    database: Database, credits: CreditService, account: str
) -> None:
    test_account = account_ids.of_tests(account)
    with database.write() as session:
        session.add(Account(id=test_account, email="test"))
        session.flush()
        credits.check_some(session, test_account)
        assert credits.hold(session, test_account, "split_1", 10**9) == 10**9
        assert credits.balance(session, test_account) == TEST_BALANCE
        assert session.scalars(select(LedgerEntry)).all() == []
        credits.purchase(session, account, 600, "payment")
        assert credits.has_bought(session, test_account)
    with pytest.raises(IntegrityError), database.write() as session:
        credits.grant(session, test_account, 1)


def test_failed_split_costs_nothing(database: Database, credits: CreditService, account: str) -> None:
    with database.write() as session:
        credits.grant(session, account, 600)
        credits.hold(session, account, "split_1", 600)
        assert credits.balance(session, account) == 0
        assert credits.release(session, "split_1")
        assert credits.balance(session, account) == 600


@pytest.mark.parametrize(("first", "second"), [("settle", "release"), ("release", "settle")])
def test_first_end_of_a_split_stands(
    database: Database, credits: CreditService, account: str, first: str, second: str
) -> None:
    with database.write() as session:
        credits.grant(session, account, 100)
        credits.hold(session, account, "split_1", 70)
    results = []
    for name in (first, second, first, second):
        with database.write() as session:
            results.append(getattr(credits, name)(session, "split_1"))
    assert results == [True, False, True, False]
    with database.read() as session:
        assert credits.balance(session, account) == (30 if first == "settle" else 100)


def test_repeated_hold_is_made_once(database: Database, credits: CreditService, account: str) -> None:
    with database.write() as session:
        credits.grant(session, account, 100)
        assert [credits.hold(session, account, "split_1", 70) for _ in range(3)] == [70, 70, 70]
        assert credits.balance(session, account) == 30


def test_hold_over_the_balance_is_refused(database: Database, credits: CreditService, account: str) -> None:
    with database.write() as session:
        credits.grant(session, account, 213)
        with pytest.raises(InsufficientCredits) as caught:
            credits.hold(session, account, "split_1", 214)
        assert caught.value.details == {"requiredSeconds": 214, "balance": 213}
        assert caught.value.details == {"requiredSeconds": 214, "balance": 213}
        assert "needs 214 credits and the balance is 213" in str(caught.value)
        assert entries(session, account) == [("grant", 213, None)]


def test_hold_without_metering_costs_nothing(database: Database, account: str) -> None:
    free = CreditService(Settings(metering=False))
    with database.write() as session:
        assert free.hold(session, account, "split_1", 214) == 0
        assert free.settle(session, "split_1")
        assert free.hold(session, account, "split_2", 214) == 0
        assert free.release(session, "split_2")
        assert free.balance(session, account) == 0


def test_hold_outlives_a_change_of_the_setting(
    database: Database, credits: CreditService, account: str
) -> None:
    with database.write() as session:
        credits.grant(session, account, 100)
        credits.hold(session, account, "split_1", 100)
        assert CreditService(Settings(metering=False)).release(session, "split_1")
        assert credits.balance(session, account) == 100


def test_purchase_counts_once(database: Database, credits: CreditService, account: str) -> None:
    other = add_account(database, "other@example.com")
    with database.write() as session:
        first = credits.purchase(session, account, 3600, "pay_1", "one hour")
        again = credits.purchase(session, account, 3600, "pay_1")
        assert first.id == again.id
        assert credits.balance(session, account) == 3600
        for account_id, amount in ((other, 3600), (account, 60)):
            with pytest.raises(Conflict, match="pay_1 is recorded"):
                credits.purchase(session, account_id, amount, "pay_1")
        with pytest.raises(ValidationFailed, match="reference"):
            credits.purchase(session, account, 3600, "")


def test_deduction_is_limited_to_the_balance(
    database: Database, credits: CreditService, account: str
) -> None:
    with database.write() as session:
        credits.grant(session, account, 100)
        credits.grant(session, account, -40, "a mistake")
        with pytest.raises(Conflict, match="has 60 credits: deduct at most that many, not 61"):
            credits.grant(session, account, -61)
        assert credits.balance(session, account) == 60


@pytest.mark.parametrize("amount", [0, MAX_AMOUNT + 1, -MAX_AMOUNT - 1])
def test_invalid_amount_is_refused(
    database: Database, credits: CreditService, account: str, amount: int
) -> None:
    with database.write() as session, pytest.raises(ValidationFailed, match="not an amount"):
        credits.grant(session, account, amount)


def test_negative_purchase_is_refused(database: Database, credits: CreditService, account: str) -> None:
    with database.write() as session, pytest.raises(ValidationFailed, match="not an amount"):
        credits.purchase(session, account, -1, "pay_1")


def test_missing_account_is_not_found(database: Database, credits: CreditService) -> None:
    with database.write() as session:
        for call in (
            lambda: credits.balance(session, "acc_x"),
            lambda: credits.grant(session, "acc_x", 1),
            lambda: credits.purchase(session, "acc_x", 1, "pay_1"),
            lambda: credits.hold(session, "acc_x", "split_1", 1),
        ):
            with pytest.raises(NotFound, match="no account acc_x"):
                call()


def test_misuse_raises_lookup_and_value_errors(
    database: Database, credits: CreditService, account: str
) -> None:
    other = add_account(database, "other@example.com")
    with database.write() as session:
        with pytest.raises(LookupError):
            credits.settle(session, "split_1")
        with pytest.raises(LookupError):
            credits.release(session, "split_1")
        with pytest.raises(ValueError, match="cannot cost -1"):
            credits.hold(session, account, "split_1", -1)
        credits.hold(session, account, "split_1", 0)
        with pytest.raises(ValueError, match="another account"):
            credits.hold(session, other, "split_1", 0)


def test_history_is_newest_first(database: Database, credits: CreditService, account: str) -> None:
    for amount in (1, 2, 3):
        with database.write() as session:
            # explicit times, as entries may be created in the same millisecond
            entry = credits.grant(session, account, amount)
            entry.created_at = entry.created_at.replace(year=2000 + amount)
    with database.read() as session:
        assert [entry.amount for entry in credits.page(session, account, limit=2)[0]] == [3, 2]


def test_audit_finds_a_balance_that_is_not_the_sum(
    database: Database, credits: CreditService, account: str
) -> None:
    empty = add_account(database, "empty@example.com")
    with database.write() as session:
        credits.grant(session, account, 100)
        assert credits.audit(session) == []
        session.execute(text("UPDATE accounts SET balance = 7 WHERE id = :id"), {"id": empty})
        session.execute(text("UPDATE accounts SET balance = 99 WHERE id = :id"), {"id": account})
        assert set(map(str, credits.audit(session))) == {
            str(Discrepancy(account, "song@example.com", 99, 100)),
            str(Discrepancy(empty, "empty@example.com", 7, 0)),
        }


@pytest.mark.parametrize(
    "values",
    [
        {"kind": "hold", "amount": 1, "split_id": "split_2"},
        {"kind": "hold", "amount": -1},
        {"kind": "hold", "amount": -1, "split_id": "split_1"},  # a second one
        {"kind": "settle", "amount": -1, "split_id": "split_2"},
        {"kind": "settle", "amount": 0, "split_id": "split_1"},  # after the release
        {"kind": "release", "amount": -1, "split_id": "split_2"},
        {"kind": "purchase", "amount": 0},
        {"kind": "grant", "amount": 1, "split_id": "split_2"},
        {"kind": "gift", "amount": 1},
        {"kind": "grant", "amount": 1, "account_id": "acc_x"},
    ],
)
def test_database_refuses_invalid_entries(
    database: Database, credits: CreditService, account: str, values: dict[str, Any]
) -> None:
    with database.write() as session:
        credits.hold(session, account, "split_1", 0)
        credits.release(session, "split_1")
    with pytest.raises(IntegrityError), database.write() as session:
        session.add(LedgerEntry(**{"account_id": account, **values}))


def test_database_refuses_a_negative_balance(database: Database, account: str) -> None:
    with pytest.raises(IntegrityError), database.write() as session:
        session.execute(text("UPDATE accounts SET balance = -1"))


def test_ledger_is_paged(database: Database, credits: CreditService, account: str) -> None:
    other = add_account(database, "other@example.com")
    with database.write() as session:
        ids = [credits.grant(session, account, amount).id for amount in range(1, 6)]
        foreign = credits.grant(session, other, 1).id
    with database.read() as session:
        seen, cursor = [], None
        for _ in range(3):
            found, cursor = credits.page(session, account, limit=2, cursor=cursor)
            seen += [entry.id for entry in found]
        assert (sorted(seen), cursor) == (sorted(ids), None)
        assert credits.page(session, account, limit=5, cursor=None)[1] is None
        for wrong in (foreign, "led_0"):
            with pytest.raises(ValidationFailed, match="cursor"):
                credits.page(session, account, limit=2, cursor=wrong)


def test_usage_is_the_cost_of_splits_by_day(
    database: Database, credits: CreditService, account: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    at = datetime(2026, 5, 3, 23, 59, 59, tzinfo=UTC)
    monkeypatch.setattr(module, "now", lambda: at)
    other = add_account(database, "other@example.com")
    with database.write() as session:
        for each in (account, other):
            credits.grant(session, each, 10_000)
        holds = [  # account, days ago, cost, end
            (account, 0, 5, "settle"), (account, 0, 7, "settle"), (account, 0, 100, "release"),
            (account, 1, 11, None), (account, 6, 13, "settle"), (account, 7, 1000, "settle"),
            (other, 0, 2000, "settle"),
        ]  # fmt: skip
        for number, (owner, days, cost, end) in enumerate(holds):
            split = f"split_{number}"
            credits.hold(session, owner, split, cost)
            if end:
                getattr(credits, end)(session, split)
            hold = update(LedgerEntry).where(LedgerEntry.split_id == split, LedgerEntry.kind == "hold")
            session.execute(hold.values(created_at=at - timedelta(days=days)))
    with database.read() as session:
        assert credits.usage(session, account, 7) == [
            (date(2026, 4, 27), 13), (date(2026, 4, 28), 0), (date(2026, 4, 29), 0), (date(2026, 4, 30), 0),
            (date(2026, 5, 1), 0), (date(2026, 5, 2), 11), (date(2026, 5, 3), 12),
        ]  # fmt: skip
