"""The secrets that sign an account's webhooks: one that is shown once, and after a rotation the old one for a day."""

import base64
import secrets
from collections.abc import Sequence
from datetime import timedelta

from sqlalchemy.orm import Session

from stemsplitter.accounts import repository
from stemsplitter.accounts.models import WebhookSecret
from stemsplitter.accounts.secret_box import SecretBox
from stemsplitter.clock import now
from stemsplitter.service_errors import Conflict

PREFIX = "whsec_"
OVERLAP = timedelta(hours=24)
SHOWN = 12  # characters of a secret that are kept readable, to tell secrets apart


class WebhookSecrets:
    """Makes, rotates and reads an account's webhook secrets. Changes join the caller's transaction."""

    def __init__(self, box: SecretBox) -> None:
        self._box = box

    def create_secret(self, session: Session, account_id: str) -> str:
        """Make the account's first secret and return it: ``whsec_`` and the base64 of 32 random bytes.

        That is the form of the Standard Webhooks specification. It is never shown again.

        Raises:
            Conflict: the account has a secret, which can be rotated.
            NotFound: there is no such account.
        """
        if self._current(session, account_id):
            raise Conflict("The account has a webhook secret already: rotate it to get a new one.")
        return self._add(session, account_id)

    def rotate_secret(self, session: Session, account_id: str) -> str:
        """Make a new secret and return it; the one before it signs for 24 more hours, then it is deleted.

        Makes the first one where there is none. Secrets that the server's secret key no longer opens are
        deleted at once.

        Raises:
            NotFound: there is no such account.
        """
        if current := self._current(session, account_id):
            current.expires_at = now() + OVERLAP
        for stored in repository.active_secrets(session, account_id, now()):
            if not self._box.opens(stored.secret_encrypted):
                session.delete(stored)
        repository.delete_expired_secrets(session, account_id, now())
        return self._add(session, account_id)

    def active_secrets(self, session: Session, account_id: str) -> list[str]:
        """All secrets that sign now, the newest first; empty if the account never made one.

        Raises:
            SettingsError: the server's secret key is not the one they were encrypted with.
        """
        stored = repository.active_secrets(session, account_id, now())
        return [self._box.decrypt(each.secret_encrypted) for each in stored]

    def list_secrets(self, session: Session, account_id: str) -> Sequence[WebhookSecret]:
        """The secrets that sign now, the newest first, without what they are."""
        return repository.active_secrets(session, account_id, now())

    def _current(self, session: Session, account_id: str) -> WebhookSecret | None:
        repository.lock_account(session, account_id)
        active = repository.active_secrets(session, account_id, now())
        return next((each for each in active if each.expires_at is None), None)

    def _add(self, session: Session, account_id: str) -> str:
        shown = PREFIX + base64.b64encode(secrets.token_bytes(32)).decode()
        encrypted = self._box.encrypt(shown)
        session.add(WebhookSecret(account_id=account_id, secret_encrypted=encrypted, prefix=shown[:SHOWN]))
        session.flush()
        return shown
