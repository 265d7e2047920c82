"""The rules of sessions: how one begins, how long it lasts, and what ends it."""

import hashlib
import secrets
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy.orm import Session as DatabaseSession

from stemsplitter.accounts.models import Account
from stemsplitter.clock import now
from stemsplitter.database import Database
from stemsplitter.service_errors import Unauthorized
from stemsplitter.sessions import repository
from stemsplitter.sessions.models import Session, SignInLink

LASTS = timedelta(days=30)
LINK_LASTS = timedelta(hours=1)
USE_NOTED_EVERY = timedelta(minutes=10)
_BYTES = 32  # of randomness in a token


@dataclass(frozen=True, slots=True)
class SignedIn:
    """Who a page is for, and the session that says so."""

    account: Account
    session: Session


class SessionService:
    """Sessions of browsers. A token is shown to its browser once; changes join the caller's transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def begin(self, session: DatabaseSession, account_id: str) -> str:
        """Begin a session that lasts 30 days, and return its token."""
        token, at = secrets.token_urlsafe(_BYTES), now()
        session.add(
            Session(
                token_hash=_hash(token),
                account_id=account_id,
                csrf=secrets.token_urlsafe(_BYTES),
                created_at=at,
                last_seen_at=at,
                expires_at=at + LASTS,
            )
        )
        session.flush()
        return token

    def find(self, token: str) -> SignedIn | None:
        """Who has that token; None where it is unknown or has ended, or the account is disabled.

        In transactions of its own; notes the session's use every ten minutes.
        """
        at = now()
        with self._database.read() as session:
            found = repository.find(session, _hash(token), at)
        if found is None:
            return None
        if found[0].last_seen_at < at - USE_NOTED_EVERY:
            with self._database.write() as session:
                repository.record_use(session, found[0].token_hash, at)
        return SignedIn(account=found[1], session=found[0])

    def end(self, session: DatabaseSession, signed_in: SignedIn) -> None:
        """Sign out."""
        repository.end(session, signed_in.session.token_hash)

    def end_others(self, session: DatabaseSession, signed_in: SignedIn) -> None:
        """End all of the account's other sessions, and its links: its password is another now."""
        repository.end_all(session, signed_in.account.id, but=signed_in.session.token_hash)

    def end_all(self, session: DatabaseSession, account_id: str) -> None:
        """End all sessions and links of an account."""
        repository.end_all(session, account_id)

    def make_link(self, session: DatabaseSession, account_id: str) -> str:
        """Return the token of a new link, which signs in to the account once, within an hour."""
        token = secrets.token_urlsafe(_BYTES)
        session.add(SignInLink(token_hash=_hash(token), account_id=account_id, expires_at=now() + LINK_LASTS))
        session.flush()
        return token

    def link_owner(self, session: DatabaseSession, token: str) -> Account:
        """Whom the link signs in; it stays as it is.

        Raises:
            Unauthorized: it was used, has ended, or never was; or the account is disabled.
        """
        if account := repository.link_owner(session, _hash(token), now()):
            return account
        raise Unauthorized("This link was used already or is too old: ask for another one.")

    def use_link(self, session: DatabaseSession, token: str) -> str:
        """Use the link up and begin a session; returns the session's token.

        Raises:
            Unauthorized: as :meth:`link_owner`.
        """
        account = self.link_owner(session, token)
        if not repository.take_link(session, _hash(token)):
            raise Unauthorized("This link was used already: ask for another one.")
        return self.begin(session, account.id)

    def forget_ended(self) -> None:
        """Delete sessions and links that have ended."""
        with self._database.write() as session:
            repository.forget_ended(session, now())


def _hash(token: str) -> str:
    """What is kept of a token: SHA-256 in hex, as 256 random bits cannot be guessed."""
    return hashlib.sha256(token.encode()).hexdigest()
