"""Sessions of browsers and sign-in links."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from stemsplitter.accounts.models import Account
from stemsplitter.accounts.tokens import hash_token, new_token
from stemsplitter.clock import now
from stemsplitter.database import Database
from stemsplitter.database.best_effort import BestEffort
from stemsplitter.service_errors import Unauthorized
from stemsplitter.sessions import repository
from stemsplitter.sessions.models import BrowserSession, SignInLink

LIFETIME = timedelta(days=30)
LINK_LIFETIME = timedelta(hours=1)
USE_INTERVAL = timedelta(minutes=10)  # between two records of a session's use


@dataclass(frozen=True, slots=True)
class SignedIn:
    """The account that is signed in, and its session."""

    account: Account
    session: BrowserSession


class SessionService:
    """Creates, finds and ends sessions. Tokens are not stored."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.uses = BestEffort()

    def begin(self, session: Session, account_id: str) -> str:
        """Create a session of 30 days and return its token."""
        token, at = new_token(), now()
        session.add(
            BrowserSession(
                token_hash=hash_token(token),
                account_id=account_id,
                csrf=new_token(),
                created_at=at,
                last_seen_at=at,
                expires_at=at + LIFETIME,
            )
        )
        session.flush()
        return token

    def find(self, token: str) -> SignedIn | None:
        """Return the session of a token and its account, and record its use every ten minutes.

        None if the token is unknown or has expired, or the account is disabled.
        """
        at = now()
        with self._database.read() as session:
            found = repository.find(session, hash_token(token), at)
        if found is None:
            return None
        if found[0].last_seen_at < at - USE_INTERVAL:
            self.uses.run(lambda: self._record_use(found[0].token_hash, at))
        return SignedIn(account=found[1], session=found[0])

    def _record_use(self, token_hash: str, at: datetime) -> None:
        with self._database.write() as session:
            repository.record_use(session, token_hash, at)

    def end(self, session: Session, signed_in: SignedIn) -> None:
        """End a session."""
        repository.end(session, signed_in.session.token_hash)

    def end_others(self, session: Session, signed_in: SignedIn) -> None:
        """End the account's other sessions and its links, after a change of the password."""
        repository.end_all(session, signed_in.account.id, but=signed_in.session.token_hash)

    def end_all(self, session: Session, account_id: str) -> None:
        """End all sessions and links of an account."""
        repository.end_all(session, account_id)

    def make_link(self, session: Session, account_id: str) -> str:
        """Create a link that signs in once, within an hour, and return its token."""
        token = new_token()
        session.add(
            SignInLink(token_hash=hash_token(token), account_id=account_id, expires_at=now() + LINK_LIFETIME)
        )
        session.flush()
        return token

    def link_owner(self, session: Session, token: str) -> Account:
        """Return the account of a link, without using the link.

        Raises:
            Unauthorized: the link is unknown, used or expired, or the account is disabled.
        """
        if account := repository.link_owner(session, hash_token(token), now()):
            return account
        raise Unauthorized("This link was used or has expired: ask for a new one.")

    def use_link(self, session: Session, token: str) -> str:
        """Use a link, create a session and return its token.

        Raises:
            Unauthorized: as :meth:`link_owner`.
        """
        account = self.link_owner(session, token)
        if not repository.use_link(session, hash_token(token)):
            raise Unauthorized("This link was used: ask for a new one.")
        return self.begin(session, account.id)

    def delete_expired(self) -> None:
        """Delete expired sessions and links."""
        with self._database.write() as session:
            repository.delete_expired(session, now())
