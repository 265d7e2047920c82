"""Webhooks: events, their deliveries and retries."""

import json
import time
from collections.abc import Collection, Mapping, Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy.orm import Session

from stemsplitter import tracing
from stemsplitter.accounts.secrets_service import WebhookSecrets
from stemsplitter.clock import now
from stemsplitter.database import Database, new_id
from stemsplitter.errors import StemSplitterError
from stemsplitter.fetching import Fetcher, FetchRefused
from stemsplitter.notices import service as notices
from stemsplitter.service_errors import Conflict, NotFound, ValidationFailed
from stemsplitter.settings import Settings
from stemsplitter.webhooks import attempts, repository
from stemsplitter.webhooks.attempts import Outcome
from stemsplitter.webhooks.models import (
    COMPLETED,
    FAILED,
    TEST,
    DeliveryStatus,
    WebhookAttempt,
    WebhookDelivery,
    WebhookEndpoint,
    WebhookEvent,
)
from stemsplitter.webhooks.signatures import signed_headers

TIMEOUT_S = 15.0
# far longer than an attempt takes: a worker that has not recorded its attempt by then has died
LEASE = timedelta(seconds=60)
# of the delivery log
RETENTION = timedelta(days=30)
# deliveries of an account: with a response to each attempt, 16 kB each
KEPT = 10_000

_KIND_OF = {"succeeded": COMPLETED, "failed": FAILED}


class WebhookService:
    """Creates events and delivers them."""

    def __init__(
        self, database: Database, fetcher: Fetcher, secrets: WebhookSecrets, settings: Settings
    ) -> None:
        self._database = database
        self._fetcher = fetcher
        self._secrets = secrets
        self._settings = settings

    def check_url(self, url: str, param: str) -> None:
        """Check a webhook URL; ``param`` is its name in the request.

        Raises:
            ValidationFailed: the URL is malformed, not HTTP or HTTPS, or has an address that is not allowed.
        """
        try:
            self._fetcher.check(url)
        except FetchRefused as error:
            raise ValidationFailed(str(error), param=param) from error

    def endpoints_of(
        self, session: Session, account_id: str, job: str, status: str
    ) -> Sequence[WebhookEndpoint]:
        """Return the saved endpoints that get the event of a job of this kind and final status."""
        kind = _KIND_OF[status][job]
        return [each for each in repository.endpoints(session, account_id) if each.gets(kind)]

    def create_event(
        self,
        session: Session,
        job: str,
        data: Mapping[str, Any],
        url: str | None,
        account_id: str,
        endpoints: Sequence[WebhookEndpoint] = (),
    ) -> Sequence[str]:
        """Create the event of a job that has ended, once for each job, for the URL of its request and for endpoints.

        Args:
            job: ``split``, ``analysis``, ``effect`` or ``speech``.
            data: that of the job's GET request, such as ``GET /v1/audio/splits/{id}``, with status ``succeeded`` or
                ``failed``.
            endpoints: those of :meth:`endpoints_of`.

        Returns:
            The ids of the deliveries, which are due at once.
        """
        kind = _KIND_OF[data["status"]][job]
        if existing := repository.job_deliveries(session, data["id"], kind):
            return existing
        event = _event(account_id, kind, data)
        event.split_id = data["id"]
        session.add(event)
        deliveries = [self._deliver(session, event, url)] if url else []
        deliveries += [self._deliver(session, event, each.url, each.id) for each in endpoints]
        return [each.id for each in deliveries]

    def send_test(
        self, session: Session, account_id: str, url: str, endpoint_id: str | None = None
    ) -> WebhookDelivery:
        """Create a ``webhook.test`` event, which is signed like any other and attempted once.

        Raises:
            ValidationFailed: the URL is invalid: see :meth:`check_url`.
        """
        self.check_url(url, "url")
        event = _event(account_id, TEST, None)
        session.add(event)
        return self._deliver(session, event, url, endpoint_id)

    def replay(self, session: Session, account_id: str, delivery_id: str) -> WebhookDelivery:
        """Create another delivery of an event, with the same event id and body, to the URL that its endpoint has now.

        Raises:
            NotFound: the account has no such delivery.
            Conflict: its endpoint was deleted or is disabled.
        """
        replayed = self._owned(session, account_id, delivery_id)
        url = replayed.url
        if replayed.endpoint_id is not None:
            endpoint = repository.endpoint(session, replayed.endpoint_id)
            if endpoint is None:
                raise Conflict("The endpoint of this delivery was deleted: its events cannot be sent again.")
            if endpoint.disabled_at is not None:
                raise Conflict("The endpoint of this delivery is disabled: enable it first.")
            url = endpoint.url
        return self._deliver(session, replayed.event, url, replayed.endpoint_id)

    def delivery(
        self, session: Session, account_id: str, delivery_id: str
    ) -> tuple[WebhookDelivery, Sequence[WebhookAttempt]]:
        """Return a delivery and its attempts, oldest first. Raises NotFound."""
        return self._owned(session, account_id, delivery_id), repository.attempts(session, delivery_id)

    def deliveries(
        self,
        session: Session,
        account_id: str,
        *,
        limit: int,
        cursor: str | None = None,
        status: DeliveryStatus | None = None,
        split_id: str | None = None,
        endpoint_id: str | None = None,
    ) -> tuple[Sequence[WebhookDelivery], str | None]:
        """Return a page of the account's deliveries and the next cursor.

        See :func:`~stemsplitter.database.paging.page`.
        """
        return repository.deliveries(
            session,
            account_id,
            limit=limit,
            cursor=cursor,
            status=status,
            split_id=split_id,
            endpoint_id=endpoint_id,
        )

    def delete_old(self, session: Session) -> int:
        """Delete events older than :data:`RETENTION`, with deliveries and attempts, and return their number.

        Of each account, also delete all but the newest :data:`KEPT` deliveries, even pending ones: their bytes do not
        count in the account's quota.
        """
        repository.delete_excess(session, KEPT)
        return repository.delete_events(session, now() - RETENTION)

    def due(self, session: Session) -> dict[str, str]:
        """Return the oldest due delivery of each account: delivery id → account id."""
        return repository.due(session, now())

    def claim(self, session: Session, delivery_ids: Collection[str]) -> Sequence[str]:
        """Claim due deliveries for :data:`LEASE` and return their ids, to :meth:`attempt` them after the commit.

        Those of a worker that died are due again after the lease.
        """
        at = now()
        return repository.claim(session, delivery_ids, at, at + LEASE)

    def attempt(self, delivery_id: str) -> float | None:
        """POST once and return the seconds until the next attempt; None if there is none.

        Delivery is at least once, always with the same event id: a process that dies after the POST has not recorded
        it. Takes at most 15 seconds and two short transactions.
        """
        with self._database.read() as session:
            delivery = repository.delivery(session, delivery_id)
            if delivery is None or delivery.status != "pending":
                return None
            refusal = attempts.refusal(session, delivery)
        if refusal is not None:
            with self._database.write() as session:
                attempts.end(session, delivery_id, refusal)
            return None
        traced: tracing.Attributes = {
            "stemsplitter.delivery.id": delivery_id,
            "stemsplitter.delivery.attempt": delivery.attempts + 1,
        }
        with tracing.span("webhook attempt", traced, parent=delivery.event.trace, kind="CLIENT") as span:
            outcome = self._post(delivery)
            if span is not None and outcome.status is not None:
                span.set_attribute("http.response.status_code", outcome.status)
            if outcome.error is not None:
                tracing.fail(span, str(outcome.status or "unreachable"))
        with self._database.write() as session:
            # before the delivery is locked: an endpoint is locked before its deliveries
            endpoint = delivery.endpoint_id and repository.endpoint(session, delivery.endpoint_id, lock=True)
            delay = attempts.record(session, delivery_id, delivery.next_attempt_at, outcome)
            disabled = attempts.judge(session, endpoint, delivery.event.kind, outcome) if endpoint else None
        if disabled is not None:
            self._report(delivery.account_id, disabled, delivery.url)
            return None
        return delay

    def _report(self, account_id: str, endpoint_id: str, url: str) -> None:
        """Tell the account that an endpoint was disabled. A transaction of its own, which locks the account's rows."""
        item = {"name": url, "path": f"/developer/endpoints/{endpoint_id}", "failed": False}
        with self._database.write() as session:
            notices.add_endpoint_disabled(session, self._settings, account_id, item)

    def _owned(self, session: Session, account_id: str, delivery_id: str) -> WebhookDelivery:
        found = repository.delivery(session, delivery_id)
        if found is None or found.account_id != account_id:
            raise NotFound(f"There is no webhook delivery {delivery_id}: check the id.")
        return found

    def _deliver(
        self, session: Session, event: WebhookEvent, url: str, endpoint_id: str | None = None
    ) -> WebhookDelivery:
        at = now()
        delivery = WebhookDelivery(
            id=new_id("dlv"),
            event=event,
            account_id=event.account_id,
            url=url,
            endpoint_id=endpoint_id,
            status="pending",
            attempts=0,
            next_attempt_at=at,
            created_at=at,
            updated_at=at,
        )
        session.add(delivery)
        session.flush()
        return delivery

    def _post(self, delivery: WebhookDelivery) -> Outcome:
        at, started, event = now(), time.monotonic(), delivery.event
        body = event.payload.encode()
        try:
            with self._database.read() as session:
                secrets = self._secrets.active_secrets(session, event.account_id, delivery.endpoint_id)
            headers = {"Content-Type": "application/json", **signed_headers(event.id, body, secrets, at)}
            result = self._fetcher.post(delivery.url, body, headers, TIMEOUT_S)
        except StemSplitterError as error:
            return Outcome(at, _ms_since(started), error=str(error))
        excerpt = result.excerpt.replace("\0", "�")  # PostgreSQL cannot store NUL in text
        return Outcome(at, _ms_since(started), result.status, excerpt, attempts.error_of(result.status))


def _event(account_id: str, kind: str, data: Mapping[str, Any] | None) -> WebhookEvent:
    event_id = new_id("evt")
    data = data or {"id": event_id}
    text = json.dumps({"event": kind, "data": data}, ensure_ascii=False, separators=(",", ":"))
    # a lone surrogate cannot be encoded, only escaped
    payload = text.encode("utf-8", "backslashreplace").decode()
    return WebhookEvent(
        id=event_id,
        account_id=account_id,
        kind=kind,
        payload=payload,
        created_at=now(),
        trace=tracing.current(),
    )


def _ms_since(started: float) -> int:
    return round((time.monotonic() - started) * 1000)
