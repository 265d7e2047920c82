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
    """Let nobody else change the account's ledger until this transaction ends. False: no such account.

    SQLite has one writer at a time anyway, and does without. ``NO KEY``, because rows that refer to the
    account may well be inserted meanwhile.
    """
    locked = select(Account.id).where(Account.id == account_id).with_for_update(key_share=True)
    return session.scalar(locked) is not None


def balance(session: Session, account_id: str) -> int | None:
    """The account's balance as the database has it, or None if there is no such account."""
    return session.scalar(select(Account.balance).where(Account.id == account_id))


def append(session: Session, entry: LedgerEntry) -> bool:
    """Write the entry and its amount into the balance; False, and nothing written, if that fell below zero."""
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
    """What was reserved for the split."""
    return session.scalar(
        select(LedgerEntry).where(LedgerEntry.split_id == split_id, LedgerEntry.kind == "hold")
    )


def end_of(session: Session, split_id: str) -> LedgerEntry | None:
    """How the split's hold ended: the settle or the release."""
    return session.scalar(
        select(LedgerEntry).where(
            LedgerEntry.split_id == split_id, LedgerEntry.kind.in_(("settle", "release"))
        )
    )


def purchase_of(session: Session, reference: str) -> LedgerEntry | None:
    """The purchase with that reference."""
    return session.scalar(select(LedgerEntry).where(LedgerEntry.reference == reference))


def has_purchase(session: Session, account_id: str) -> bool:
    """Whether the account has any purchase."""
    # the kind is written out, not a parameter, so that the partial index serves
    purchase = LedgerEntry.kind == literal("purchase", literal_execute=True)
    found = select(LedgerEntry.account_id).where(LedgerEntry.account_id == account_id, purchase).limit(1)
    return session.scalar(found) is not None


def entries(
    session: Session, account_id: str, *, limit: int, cursor: str | None
) -> tuple[Sequence[LedgerEntry], str | None]:
    """A page of the account's entries."""
    own = select(LedgerEntry).where(LedgerEntry.account_id == account_id)
    return page(session, own, (LedgerEntry.created_at, LedgerEntry.id), limit=limit, cursor=cursor)


def spent_by_day(session: Session, account_id: str, since: datetime) -> dict[int, int]:
    """What splits reserved since then and did not give back: days since 1970 → credits. Days are those of the hold."""
    hold, release = aliased(LedgerEntry), aliased(LedgerEntry)
    day = type_coerce(hold.created_at, BigInteger) // _MS_OF_A_DAY
    given_back = and_(release.split_id == hold.split_id, release.kind == "release")
    query = (
        select(day, -func.sum(hold.amount + func.coalesce(release.amount, 0)))
        .outerjoin(release, given_back)
        .where(hold.account_id == account_id, hold.kind == "hold", hold.created_at >= since)
        .group_by(day)
    )
    return {int(day): int(spent) for day, spent in session.execute(query)}


def sums_beside_balances(session: Session) -> Sequence[tuple[str, str, int, int]]:
    """Id, email, balance, and sum of entries of every account in which the last two differ."""
    total = func.coalesce(func.sum(LedgerEntry.amount), 0)
    rows = session.execute(
        select(Account.id, Account.email, Account.balance, total)
        .outerjoin(LedgerEntry, LedgerEntry.account_id == Account.id)
        .group_by(Account.id, Account.email, Account.balance)
        .having(Account.balance != total)
        .order_by(Account.id)
    )
    return [(row[0], row[1], row[2], int(row[3])) for row in rows]
