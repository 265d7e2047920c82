"""Secrets that sign an account's webhooks: the current one and, for a day after a rotation, the previous one.

One secret signs what is sent to the URLs of requests; each saved endpoint has a secret of its own.
"""

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
SHOWN = 12  # characters of a secret that are stored in plain text, to tell secrets apart


class WebhookSecrets:
    """Creates, rotates and reads webhook secrets."""

    def __init__(self, box: SecretBox) -> None:
        self._box = box

    def create_secret(self, session: Session, account_id: str, endpoint_id: str | None = None) -> str:
        """Create the first secret of the account, or of an endpoint, and return it.

        It is ``whsec_`` and the base64 of 32 random bytes, as Standard Webhooks specifies. It is shown only once.

        Raises:
            Conflict: the account has a secret.
            NotFound: there is no such account.
        """
        if self._current(session, account_id, endpoint_id):
            raise Conflict("The account has a webhook secret: rotate it to get a new one.")
        return self._add(session, account_id, endpoint_id)

    def rotate_secret(self, session: Session, account_id: str, endpoint_id: str | None = None) -> str:
        """Create a secret and return it. The previous one, if any, signs for 24 more hours.

        Secrets that the server's secret key no longer decrypts are deleted at once.

        Raises:
            NotFound: there is no such account.
        """
        if current := self._current(session, account_id, endpoint_id):
            current.expires_at = now() + OVERLAP
        for stored in repository.active_secrets(session, account_id, endpoint_id, now()):
            if not self._box.opens(stored.secret_encrypted):
                session.delete(stored)
        repository.delete_expired_secrets(session, account_id, now())
        return self._add(session, account_id, endpoint_id)

    def active_secrets(self, session: Session, account_id: str, endpoint_id: str | None = None) -> list[str]:
        """Return all secrets that sign now, newest first.

        Raises:
            SettingsError: they were encrypted with another secret key.
        """
        stored = repository.active_secrets(session, account_id, endpoint_id, now())
        return [self._box.decrypt(each.secret_encrypted) for each in stored]

    def list_secrets(
        self, session: Session, account_id: str, endpoint_id: str | None = None
    ) -> Sequence[WebhookSecret]:
        """Return the rows of the secrets that sign now, newest first."""
        return repository.active_secrets(session, account_id, endpoint_id, now())

    def delete_secrets(self, session: Session, account_id: str, endpoint_id: str) -> None:
        """Delete the secrets of an endpoint."""
        repository.delete_endpoint_secrets(session, account_id, endpoint_id)

    def _current(self, session: Session, account_id: str, endpoint_id: str | None) -> WebhookSecret | None:
        repository.lock_account(session, account_id)
        active = repository.active_secrets(session, account_id, endpoint_id, now())
        return next((each for each in active if each.expires_at is None), None)

    def _add(self, session: Session, account_id: str, endpoint_id: str | None) -> str:
        shown = PREFIX + base64.b64encode(secrets.token_bytes(32)).decode()
        encrypted = self._box.encrypt(shown)
        session.add(
            WebhookSecret(
                account_id=account_id,
                endpoint_id=endpoint_id,
                secret_encrypted=encrypted,
                prefix=shown[:SHOWN],
            )
        )
        session.flush()
        return shown
