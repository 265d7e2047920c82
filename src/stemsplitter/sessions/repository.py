"""Queries of sessions and of links that sign in."""

from datetime import datetime

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session as DatabaseSession

from stemsplitter.accounts.models import Account
from stemsplitter.sessions.models import Session, SignInLink


def find(session: DatabaseSession, token_hash: str, at: datetime) -> tuple[Session, Account] | None:
    """The session of that token and whose it is, unless it has ended or the account is disabled."""
    row = session.execute(
        select(Session, Account)
        .join(Account, Account.id == Session.account_id)
        .where(Session.token_hash == token_hash, Session.expires_at > at, Account.disabled_at.is_(None))
    ).one_or_none()
    return None if row is None else (row[0], row[1])


def record_use(session: DatabaseSession, token_hash: str, at: datetime) -> None:
    """Note that the session was used."""
    session.execute(update(Session).where(Session.token_hash == token_hash).values(last_seen_at=at))


def end(session: DatabaseSession, token_hash: str) -> None:
    """Forget the session of that token."""
    session.execute(delete(Session).where(Session.token_hash == token_hash))


def end_all(session: DatabaseSession, account_id: str, but: str = "") -> None:
    """Forget the account's sessions, except the one of the token hash ``but``, and its links."""
    session.execute(delete(Session).where(Session.account_id == account_id, Session.token_hash != but))
    session.execute(delete(SignInLink).where(SignInLink.account_id == account_id))


def link_owner(session: DatabaseSession, token_hash: str, at: datetime) -> Account | None:
    """Whom a link that has not ended signs in."""
    return session.scalar(
        select(Account)
        .join(SignInLink, SignInLink.account_id == Account.id)
        .where(SignInLink.token_hash == token_hash, SignInLink.expires_at > at, Account.disabled_at.is_(None))
    )


def take_link(session: DatabaseSession, token_hash: str) -> bool:
    """Use the link up; False where another request was faster."""
    taken = delete(SignInLink).where(SignInLink.token_hash == token_hash).returning(SignInLink.account_id)
    return session.scalar(taken) is not None


def forget_ended(session: DatabaseSession, at: datetime) -> None:
    """Delete what ended before that time."""
    session.execute(delete(Session).where(Session.expires_at <= at))
    session.execute(delete(SignInLink).where(SignInLink.expires_at <= at))
