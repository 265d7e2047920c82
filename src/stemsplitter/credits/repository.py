"""Queries of the ledger, and the only statement that changes a balance."""

from collections.abc import Sequence
from typing import Any, cast

from sqlalchemy import CursorResult, func, select, update
from sqlalchemy.orm import Session

from stemsplitter.accounts.models import Account
from stemsplitter.credits.models import LedgerEntry


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


def newest(session: Session, account_id: str, limit: int) -> Sequence[LedgerEntry]:
    """The account's entries, newest first."""
    return session.scalars(
        select(LedgerEntry)
        .where(LedgerEntry.account_id == account_id)
        .order_by(LedgerEntry.created_at.desc(), LedgerEntry.id.desc())
        .limit(limit)
    ).all()


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
