"""Queries of the ledger, and the only statement that changes a balance."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, cast

from sqlalchemy import BigInteger, CursorResult, and_, func, literal, select, type_coerce, update
from sqlalchemy.orm import Session, aliased

from stemsplitter.accounts.models import Account
from stemsplitter.credits.models import LedgerEntry
from stemsplitter.database.paging import page

_MS_OF_A_DAY = 86_400_000


def lock_account(session: Session, account_id: str) -> bool:
    """Lock the account's ledger until the transaction ends; False if there is no such account.

    The lock is ``FOR NO KEY UPDATE``, as rows that refer to the account may be inserted meanwhile. SQLite needs none:
    it has one writer at a time.
    """
    locked = select(Account.id).where(Account.id == account_id).with_for_update(key_share=True)
    return session.scalar(locked) is not None


def balance(session: Session, account_id: str) -> int | None:
    """Return the account's balance; None if there is no such account."""
    return session.scalar(select(Account.balance).where(Account.id == account_id))


def append(session: Session, entry: LedgerEntry) -> bool:
    """Add the entry and change the balance; False, with nothing written, if the balance would fall below zero."""
    changed = session.execute(
        update(Account)
        .where(Account.id == entry.account_id, Account.balance + entry.amount >= 0)
        .values(balance=Account.balance + entry.amount)
        .execution_options(synchronize_session=False)
    )
    if cast(CursorResult[Any], changed).rowcount != 1:
        return False
    session.add(entry)
    session.flush()
    return True


def hold_of(session: Session, split_id: str) -> LedgerEntry | None:
    """Return the hold of a split."""
    return session.scalar(
        select(LedgerEntry).where(LedgerEntry.split_id == split_id, LedgerEntry.kind == "hold")
    )


def end_of(session: Session, split_id: str) -> LedgerEntry | None:
    """Return the settle or the release of a split."""
    return session.scalar(
        select(LedgerEntry).where(
            LedgerEntry.split_id == split_id, LedgerEntry.kind.in_(("settle", "release"))
        )
    )


def entry_of(session: Session, reference: str) -> LedgerEntry | None:
    """Return the entry with a reference."""
    return session.scalar(select(LedgerEntry).where(LedgerEntry.reference == reference))


def has_reference(session: Session, account_id: str, start: str) -> bool:
    """True if the account has an entry whose reference begins with ``start``."""
    found = select(LedgerEntry.id).where(
        LedgerEntry.account_id == account_id, LedgerEntry.reference.startswith(start, autoescape=True)
    )
    return session.scalar(found.limit(1)) is not None


def has_purchase(session: Session, account_id: str) -> bool:
    """True if the account has a purchase."""
    # a literal, not a parameter, so that the partial index is used
    purchase = LedgerEntry.kind == literal("purchase", literal_execute=True)
    found = select(LedgerEntry.account_id).where(LedgerEntry.account_id == account_id, purchase).limit(1)
    return session.scalar(found) is not None


def entries(
    session: Session, account_id: str, *, limit: int, cursor: str | None
) -> tuple[Sequence[LedgerEntry], str | None]:
    """Return a page of the account's entries."""
    own = select(LedgerEntry).where(LedgerEntry.account_id == account_id)
    return page(session, own, (LedgerEntry.created_at, LedgerEntry.id), limit=limit, cursor=cursor)


def spent_by_day(session: Session, account_id: str, since: datetime) -> dict[int, int]:
    """Return the credits held since a time and not released, by the day of the hold in days since 1970."""
    hold, release = aliased(LedgerEntry), aliased(LedgerEntry)
    day = type_coerce(hold.created_at, BigInteger) // _MS_OF_A_DAY
    released = and_(release.split_id == hold.split_id, release.kind == "release")
    query = (
        select(day, -func.sum(hold.amount + func.coalesce(release.amount, 0)))
        .outerjoin(release, released)
        .where(hold.account_id == account_id, hold.kind == "hold", hold.created_at >= since)
        .group_by(day)
    )
    return {int(day): int(spent) for day, spent in session.execute(query)}


def sums_beside_balances(session: Session) -> Sequence[tuple[str, str, int, int]]:
    """Return id, email, balance and sum of entries of the accounts in which the last two differ."""
    total = func.coalesce(func.sum(LedgerEntry.amount), 0)
    rows = session.execute(
        select(Account.id, Account.email, Account.balance, total)
        .outerjoin(LedgerEntry, LedgerEntry.account_id == Account.id)
        .group_by(Account.id, Account.email, Account.balance)
        .having(Account.balance != total)
        .order_by(Account.id)
    )
    return [(row[0], row[1], row[2], int(row[3])) for row in rows]
