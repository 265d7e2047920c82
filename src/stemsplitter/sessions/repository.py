"""Queries of sessions and sign-in links."""

from datetime import datetime

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from stemsplitter.accounts.models import Account
from stemsplitter.sessions.models import BrowserSession, SignInLink


def find(session: Session, token_hash: str, at: datetime) -> tuple[BrowserSession, Account] | None:
    """Return a valid session and its account."""
    row = session.execute(
        select(BrowserSession, Account)
        .join(Account, Account.id == BrowserSession.account_id)
        .where(
            BrowserSession.token_hash == token_hash,
            BrowserSession.expires_at > at,
            Account.disabled_at.is_(None),
        )
    ).one_or_none()
    return None if row is None else (row[0], row[1])


def record_use(session: Session, token_hash: str, at: datetime) -> None:
    """Record the use of a session."""
    session.execute(
        update(BrowserSession).where(BrowserSession.token_hash == token_hash).values(last_seen_at=at)
    )


def end(session: Session, token_hash: str) -> None:
    """Delete a session."""
    session.execute(delete(BrowserSession).where(BrowserSession.token_hash == token_hash))


def end_all(session: Session, account_id: str, but: str = "") -> None:
    """Delete the account's links and its sessions, except the one of the token hash ``but``."""
    session.execute(
        delete(BrowserSession).where(
            BrowserSession.account_id == account_id, BrowserSession.token_hash != but
        )
    )
    session.execute(delete(SignInLink).where(SignInLink.account_id == account_id))


def link_owner(session: Session, token_hash: str, at: datetime) -> Account | None:
    """Return the account of a valid link."""
    return session.scalar(
        select(Account)
        .join(SignInLink, SignInLink.account_id == Account.id)
        .where(SignInLink.token_hash == token_hash, SignInLink.expires_at > at, Account.disabled_at.is_(None))
    )


def use_link(session: Session, token_hash: str) -> bool:
    """Delete a link; False if another request was faster."""
    used = delete(SignInLink).where(SignInLink.token_hash == token_hash).returning(SignInLink.account_id)
    return session.scalar(used) is not None


def delete_expired(session: Session, at: datetime) -> None:
    """Delete the sessions and links that ended before a time."""
    session.execute(delete(BrowserSession).where(BrowserSession.expires_at <= at))
    session.execute(delete(SignInLink).where(SignInLink.expires_at <= at))
