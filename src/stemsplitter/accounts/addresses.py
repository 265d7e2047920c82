"""Verification of addresses: a link that is sent to the address, and the free credits of the one who opens it."""

import hashlib
import hmac
from collections.abc import Callable
from datetime import timedelta

from sqlalchemy.orm import Session

from stemsplitter.accounts import repository
from stemsplitter.accounts.models import Account, AddressLink
from stemsplitter.accounts.secret_box import derive_key
from stemsplitter.accounts.service import AccountService
from stemsplitter.accounts.tokens import hash_token, new_token
from stemsplitter.clock import now
from stemsplitter.service_errors import Unauthorized

LINK_LIFETIME = timedelta(hours=24)


class AddressProofs:
    """Creates and uses the links that verify addresses.

    Args:
        grant_free_credits: called with the session, the id of the account and a keyed hash of the address, of which
            it grants the free credits once.
    """

    def __init__(
        self,
        accounts: AccountService,
        secret: bytes,
        grant_free_credits: Callable[[Session, str, str], object],
    ) -> None:
        self._accounts, self._grant_free_credits = accounts, grant_free_credits
        self._key = derive_key(secret, "free credits of addresses")

    def make_link(self, session: Session, account_id: str, email: str) -> str:
        """Create a link that makes ``email`` the account's verified address, and return its token.

        It works once, within a day, and replaces the account's previous link.

        Raises:
            ValidationFailed: the address is invalid.
            Conflict: another account has it.
            NotFound: there is no such account.
        """
        email = self._accounts.checked_new_email(session, account_id, email)
        repository.lock_account(session, account_id)
        repository.delete_address_link(session, account_id)
        token = new_token()
        session.add(
            AddressLink(
                token_hash=hash_token(token),
                account_id=account_id,
                email=email,
                expires_at=now() + LINK_LIFETIME,
            )
        )
        session.flush()
        return token

    def find(self, session: Session, token: str) -> tuple[Account, str]:
        """Return the account of a link and the address that it verifies, without using the link.

        Raises:
            Unauthorized: the link is unknown, used or expired, or the account is disabled.
        """
        if found := repository.address_link(session, hash_token(token), now()):
            return found
        raise Unauthorized("This link was used or has expired: sign in and ask for a new one.")

    def use(self, session: Session, token: str) -> str:
        """Use a link, grant the free credits if the account and the address never had any, and return the account's id.

        Raises:
            Unauthorized: as :meth:`find`.
            Conflict: another account has got the address meanwhile.
        """
        account, email = self.find(session, token)
        if not repository.use_address_link(session, hash_token(token)):
            raise Unauthorized("This link was used: sign in and ask for a new one.")
        self._accounts.set_email(session, account.id, email, verified_at=now())
        session.flush()
        self._grant_free_credits(session, account.id, self._mark(email))
        return account.id

    def delete_expired(self, session: Session) -> None:
        """Delete the expired links."""
        repository.delete_expired_address_links(session, now())

    def _mark(self, email: str) -> str:
        """Return a keyed hash, the same for ``name+anything@…``, which most providers deliver to ``name@…``."""
        name, _, domain = email.rpartition("@")
        owner = f"{name.partition('+')[0]}@{domain}"
        return hmac.new(self._key, owner.encode(), hashlib.sha256).hexdigest()[:40]
