"""Saved endpoints: URLs that get chosen events of all jobs of an account."""

from collections.abc import Sequence
from typing import Final

from sqlalchemy.orm import Session

from stemsplitter import refusals
from stemsplitter.accounts import repository as accounts
from stemsplitter.accounts.secrets_service import WebhookSecrets
from stemsplitter.clock import now
from stemsplitter.database import new_id
from stemsplitter.service_errors import Conflict, NotFound, ValidationFailed
from stemsplitter.webhooks import repository
from stemsplitter.webhooks.attempts import ENDPOINT_DELETED, ENDPOINT_DISABLED
from stemsplitter.webhooks.models import ALL, JOB_KINDS, WebhookDelivery, WebhookEndpoint
from stemsplitter.webhooks.service import WebhookService

# of an account: each event is sent to all of them
MAX_ENDPOINTS: Final = 16
MAX_DESCRIPTION: Final = 200


class WebhookEndpoints:
    """Creates, changes and deletes saved endpoints. An endpoint is locked before its deliveries."""

    def __init__(self, webhooks: WebhookService, secrets: WebhookSecrets) -> None:
        self._webhooks, self._secrets = webhooks, secrets

    def create(
        self, session: Session, account_id: str, url: str, events: Sequence[str], description: str = ""
    ) -> tuple[WebhookEndpoint, str]:
        """Create an endpoint. The second value is its signing secret, which is shown once.

        Raises:
            ValidationFailed: the URL, the events or the description is invalid.
            Conflict: the account has as many endpoints as it may have.
            NotFound: there is no such account.
        """
        accounts.lock_account(session, account_id)
        if len(repository.endpoints(session, account_id)) >= MAX_ENDPOINTS:
            refusals.count("webhook endpoints")
            raise Conflict(f"The account has {MAX_ENDPOINTS} webhook endpoints: delete one that is not used.")
        at = now()
        endpoint = WebhookEndpoint(id=new_id("whe"), account_id=account_id, created_at=at)
        self._change(endpoint, url, events, description)
        session.add(endpoint)
        session.flush()
        return endpoint, self._secrets.create_secret(session, account_id, endpoint.id)

    def update(
        self,
        session: Session,
        account_id: str,
        endpoint_id: str,
        *,
        url: str | None = None,
        events: Sequence[str] | None = None,
        description: str | None = None,
    ) -> WebhookEndpoint:
        """Change an endpoint; None leaves a value as it is. Pending deliveries go to the new URL.

        Raises:
            ValidationFailed: the URL, the events or the description is invalid.
            NotFound: the account has no such endpoint.
        """
        endpoint = self._owned(session, account_id, endpoint_id, lock=True)
        previous = endpoint.url
        self._change(
            endpoint,
            endpoint.url if url is None else url,
            endpoint.events if events is None else events,
            endpoint.description if description is None else description,
        )
        if endpoint.url != previous:
            endpoint.failing_since = None
            repository.redirect_pending(session, endpoint.id, endpoint.url)
        return endpoint

    def enable(self, session: Session, account_id: str, endpoint_id: str) -> WebhookEndpoint:
        """Send events to the endpoint again. Raises NotFound."""
        endpoint = self._owned(session, account_id, endpoint_id, lock=True)
        if endpoint.disabled_at is not None:
            endpoint.disabled_at = endpoint.disabled_reason = endpoint.failing_since = None
            endpoint.updated_at = now()
        return endpoint

    def disable(self, session: Session, account_id: str, endpoint_id: str) -> WebhookEndpoint:
        """Send no more events to the endpoint, and end its pending deliveries as failed. Raises NotFound."""
        endpoint = self._owned(session, account_id, endpoint_id, lock=True)
        if endpoint.disabled_at is None:
            endpoint.disabled_at = endpoint.updated_at = now()
            repository.end_pending(session, endpoint.id, ENDPOINT_DISABLED, endpoint.updated_at)
        return endpoint

    def delete(self, session: Session, account_id: str, endpoint_id: str) -> None:
        """Delete the endpoint and its secrets, and end its pending deliveries as failed. Raises NotFound."""
        endpoint = self._owned(session, account_id, endpoint_id, lock=True)
        repository.end_pending(session, endpoint.id, ENDPOINT_DELETED, now())
        self._secrets.delete_secrets(session, account_id, endpoint.id)
        session.delete(endpoint)

    def rotate_secret(self, session: Session, account_id: str, endpoint_id: str) -> str:
        """Create a signing secret and return it. The previous one signs for 24 more hours. Raises NotFound."""
        self._owned(session, account_id, endpoint_id)
        return self._secrets.rotate_secret(session, account_id, endpoint_id)

    def send_test(self, session: Session, account_id: str, endpoint_id: str) -> WebhookDelivery:
        """Send a test event to an endpoint, also if it is disabled. See :meth:`WebhookService.send_test`.

        Raises:
            NotFound: the account has no such endpoint.
            ValidationFailed: its URL is no longer allowed.
        """
        endpoint = self._owned(session, account_id, endpoint_id)
        return self._webhooks.send_test(session, account_id, endpoint.url, endpoint.id)

    def get(self, session: Session, account_id: str, endpoint_id: str) -> WebhookEndpoint:
        """Return an endpoint. Raises NotFound."""
        return self._owned(session, account_id, endpoint_id)

    def all(self, session: Session, account_id: str) -> Sequence[WebhookEndpoint]:
        """Return the account's endpoints, newest first."""
        return repository.endpoints(session, account_id)

    def _change(self, endpoint: WebhookEndpoint, url: str, events: Sequence[str], description: str) -> None:
        self._webhooks.check_url(url, "url")
        description = description.strip()
        if len(description) > MAX_DESCRIPTION or not description.isprintable():
            raise ValidationFailed(
                f"The description must be one line of at most {MAX_DESCRIPTION} characters.",
                param="description",
            )
        endpoint.url, endpoint.description, endpoint.updated_at = url, description, now()
        endpoint.events = checked_events(events)

    def _owned(
        self, session: Session, account_id: str, endpoint_id: str, *, lock: bool = False
    ) -> WebhookEndpoint:
        found = repository.endpoint(session, endpoint_id, lock=lock)
        if found is None or found.account_id != account_id:
            raise NotFound(f"There is no webhook endpoint {endpoint_id}: check the id.")
        return found


def checked_events(events: Sequence[str]) -> list[str]:
    """Return the chosen events in the order of :data:`JOB_KINDS`, or :data:`ALL` alone.

    Raises:
        ValidationFailed: none is chosen, or one does not exist.
    """
    chosen = set(events)
    if unknown := sorted(chosen - {ALL, *JOB_KINDS}):
        raise ValidationFailed(
            f"There is no event {unknown[0][:60]!r}: use {', '.join(JOB_KINDS)}, or {ALL}.", param="events"
        )
    if not chosen:
        raise ValidationFailed(f"Choose at least one event, or {ALL} for all.", param="events")
    return [ALL] if ALL in chosen else [kind for kind in JOB_KINDS if kind in chosen]
