"""Webhooks: events, their deliveries and retries."""

import json
import logging
import random
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy.orm import Session

from stemsplitter import tracing
from stemsplitter.accounts.secrets_service import WebhookSecrets
from stemsplitter.clock import now
from stemsplitter.database import Database, new_id
from stemsplitter.errors import StemSplitterError
from stemsplitter.fetching import Fetcher, FetchRefused
from stemsplitter.service_errors import NotFound, ValidationFailed
from stemsplitter.webhooks import repository
from stemsplitter.webhooks.models import (
    COMPLETED,
    FAILED,
    TEST,
    DeliveryStatus,
    WebhookAttempt,
    WebhookDelivery,
    WebhookEvent,
)
from stemsplitter.webhooks.signatures import signed_headers

TIMEOUT_S = 15.0
# seconds from one attempt to the next: 11 attempts over 23.7 hours
DELAYS_S = (5, 30, 120, 600, 1800, 3600, 7200, 14_400, 28_800, 28_800)
# each delay varies by this fraction, so that retries to a receiver that was down do not arrive together
JITTER = 0.1
# far longer than an attempt takes: a worker that has not recorded its attempt by then has died
LEASE = timedelta(seconds=60)
# of the delivery log
RETENTION = timedelta(days=30)
# deliveries of an account: with a response to each attempt, 16 kB each
KEPT = 10_000

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Outcome:
    """The result of a POST: a status, or an error if there was no response."""

    at: datetime
    duration_ms: int
    status: int | None = None
    excerpt: str | None = None
    error: str | None = None


class WebhookService:
    """Creates events and delivers them."""

    def __init__(self, database: Database, fetcher: Fetcher, secrets: WebhookSecrets) -> None:
        self._database = database
        self._fetcher = fetcher
        self._secrets = secrets

    def check_url(self, url: str, param: str) -> None:
        """Check a webhook URL; ``param`` is its name in the request.

        Raises:
            ValidationFailed: the URL is malformed, not HTTP or HTTPS, or has an address that is not allowed.
        """
        try:
            self._fetcher.check(url)
        except FetchRefused as error:
            raise ValidationFailed(str(error), param=param) from error

    def create_event(
        self, session: Session, job: str, data: Mapping[str, Any], url: str, account_id: str
    ) -> str:
        """Create the event of a job that has ended, once for each job.

        Args:
            job: ``split``, ``analysis``, ``effect`` or ``speech``.
            data: that of the job's GET request, such as ``GET /v1/audio/splits/{id}``, with status ``succeeded`` or
                ``failed``.

        Returns:
            The id of the delivery, which is due at once.
        """
        kind = {"succeeded": COMPLETED, "failed": FAILED}[data["status"]][job]
        if existing := repository.first_delivery(session, data["id"], kind):
            return existing.id
        event = _event(account_id, kind, data, url)
        event.split_id = data["id"]
        session.add(event)
        return self._deliver(session, event).id

    def send_test(self, session: Session, account_id: str, url: str) -> WebhookDelivery:
        """Create a ``webhook.test`` event, which is signed like any other and attempted once.

        Raises:
            ValidationFailed: the URL is invalid: see :meth:`check_url`.
        """
        self.check_url(url, "url")
        event = _event(account_id, TEST, None, url)
        session.add(event)
        return self._deliver(session, event)

    def replay(self, session: Session, account_id: str, delivery_id: str) -> WebhookDelivery:
        """Create another delivery of an event, with the same event id and body. Raises NotFound."""
        return self._deliver(session, self._owned(session, account_id, delivery_id).event)

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
    ) -> tuple[Sequence[WebhookDelivery], str | None]:
        """Return a page of the account's deliveries and the next cursor.

        See :func:`~stemsplitter.database.paging.page`.
        """
        return repository.deliveries(
            session, account_id, limit=limit, cursor=cursor, status=status, split_id=split_id
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
        traced: tracing.Attributes = {
            "stemsplitter.delivery.id": delivery_id,
            "stemsplitter.delivery.attempt": delivery.attempts + 1,
        }
        with tracing.span("webhook attempt", traced, parent=delivery.event.trace, kind="CLIENT") as span:
            outcome = self._post(delivery.event)
            if span is not None and outcome.status is not None:
                span.set_attribute("http.response.status_code", outcome.status)
            if outcome.error is not None:
                tracing.fail(span, str(outcome.status or "unreachable"))
        with self._database.write() as session:
            return _record(session, delivery_id, delivery.next_attempt_at, outcome)

    def _owned(self, session: Session, account_id: str, delivery_id: str) -> WebhookDelivery:
        found = repository.delivery(session, delivery_id)
        if found is None or found.account_id != account_id:
            raise NotFound(f"There is no webhook delivery {delivery_id}: check the id.")
        return found

    def _deliver(self, session: Session, event: WebhookEvent) -> WebhookDelivery:
        at = now()
        delivery = WebhookDelivery(
            id=new_id("dlv"),
            event=event,
            account_id=event.account_id,
            status="pending",
            attempts=0,
            next_attempt_at=at,
            created_at=at,
            updated_at=at,
        )
        session.add(delivery)
        session.flush()
        return delivery

    def _post(self, event: WebhookEvent) -> _Outcome:
        at, started = now(), time.monotonic()
        body = event.payload.encode()
        try:
            with self._database.read() as session:
                secrets = self._secrets.active_secrets(session, event.account_id)
            headers = {"Content-Type": "application/json", **signed_headers(event.id, body, secrets, at)}
            result = self._fetcher.post(event.url, body, headers, TIMEOUT_S)
        except StemSplitterError as error:
            return _Outcome(at, _ms_since(started), error=str(error))
        excerpt = result.excerpt.replace("\0", "�")  # PostgreSQL cannot store NUL in text
        return _Outcome(at, _ms_since(started), result.status, excerpt, _error_of(result.status))


def _event(account_id: str, kind: str, data: Mapping[str, Any] | None, url: str) -> WebhookEvent:
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
        url=url,
        created_at=now(),
        trace=tracing.current(),
    )


def _record(session: Session, delivery_id: str, lease: datetime | None, outcome: _Outcome) -> float | None:
    """Log the attempt and update the delivery, unless another attempt has started or ended since."""
    delivery = repository.delivery(session, delivery_id, lock=True)
    if delivery is None:
        return None
    session.add(
        WebhookAttempt(
            id=new_id("att"),
            delivery_id=delivery_id,
            at=outcome.at,
            status_code=outcome.status,
            error=outcome.error,
            duration_ms=outcome.duration_ms,
            response_excerpt=outcome.excerpt,
        )
    )
    if delivery.status != "pending":  # ended by another run of the same attempt
        return None
    delivery.attempts += 1
    delivery.last_status, delivery.last_error = outcome.status, outcome.error
    delivery.updated_at = now()
    status, delay = _decide(outcome.status, delivery.attempts, delivery.event.kind)
    if delivery.next_attempt_at != lease and status in ("pending", "failed"):
        return None  # the lease expired: the worker that has the delivery now schedules the next attempt
    delivery.status = status
    delivery.next_attempt_at = None if delay is None else delivery.updated_at + timedelta(seconds=delay)
    _log.info(
        "webhook delivery %s: attempt %d, status %s, now %s",
        delivery_id,
        delivery.attempts,
        outcome.status or outcome.error,
        delivery.status,
    )
    return delay


def _decide(status: int | None, attempts: int, kind: str) -> tuple[DeliveryStatus, float | None]:
    """Return the status of a delivery after an attempt, and the seconds until the next one."""
    if status is not None and 200 <= status <= 299:
        return "delivered", None
    if status == 410:
        return "gone", None
    if kind == TEST or attempts > len(DELAYS_S):
        return "failed", None
    return "pending", DELAYS_S[attempts - 1] * random.uniform(1 - JITTER, 1 + JITTER)


def _error_of(status: int) -> str | None:
    if 200 <= status <= 299:
        return None
    if 300 <= status <= 399:
        return f"The receiver responded with {status}. Redirects are not followed: use the final URL."
    return f"The receiver responded with {status}: it must respond with 2xx."


def _ms_since(started: float) -> int:
    return round((time.monotonic() - started) * 1000)
