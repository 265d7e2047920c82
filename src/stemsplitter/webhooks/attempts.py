"""Effects of an attempt on its delivery, and on the saved endpoint of the delivery."""

import logging
import random
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from stemsplitter.clock import now
from stemsplitter.database import new_id
from stemsplitter.languages import marked
from stemsplitter.webhooks import repository
from stemsplitter.webhooks.models import (
    TEST,
    DeliveryStatus,
    WebhookAttempt,
    WebhookDelivery,
    WebhookEndpoint,
)

# seconds from one attempt to the next: 11 attempts over 23.7 hours
DELAYS_S = (5, 30, 120, 600, 1800, 3600, 7200, 14_400, 28_800, 28_800)
# each delay varies by this fraction, so that retries to a receiver that was down do not arrive together
JITTER = 0.1
# an endpoint is disabled when no attempt has succeeded for this time: longer than a delivery is retried
DISABLED_AFTER = timedelta(days=3)

# reasons of the server to disable an endpoint
GONE = marked("The receiver responded with 410 Gone.")
FAILING = marked("No delivery has succeeded for 3 days.")
ENDPOINT_DELETED = "The endpoint was deleted."
ENDPOINT_DISABLED = "The endpoint was disabled."

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of a POST: a status, or an error if there was no response."""

    at: datetime
    duration_ms: int
    status: int | None = None
    excerpt: str | None = None
    error: str | None = None


def refusal(session: Session, delivery: WebhookDelivery) -> str | None:
    """Return why a delivery is not attempted: its endpoint was deleted or disabled after the job had ended."""
    if delivery.endpoint_id is None:
        return None
    endpoint = repository.endpoint(session, delivery.endpoint_id)
    if endpoint is None:
        return ENDPOINT_DELETED
    is_test = delivery.event.kind == TEST
    return ENDPOINT_DISABLED if endpoint.disabled_at is not None and not is_test else None


def end(session: Session, delivery_id: str, reason: str) -> None:
    """End a pending delivery as failed, without an attempt."""
    delivery = repository.delivery(session, delivery_id, lock=True)
    if delivery is not None and delivery.status == "pending":
        delivery.status, delivery.last_error = "failed", reason
        delivery.next_attempt_at, delivery.updated_at = None, now()


def judge(session: Session, endpoint: WebhookEndpoint, kind: str, outcome: Outcome) -> str | None:
    """Record how long the endpoint has failed, and return its id if that disables it. A failed test does not count.

    A response with 410 disables it at once, as Standard Webhooks recommends.
    """
    if outcome.error is None:
        endpoint.failing_since = None
        return None
    if kind == TEST or endpoint.disabled_at is not None:
        return None
    at = now()
    endpoint.failing_since = endpoint.failing_since or at
    is_gone = outcome.status == 410
    if not is_gone and at - endpoint.failing_since < DISABLED_AFTER:
        return None
    endpoint.disabled_at = at
    endpoint.disabled_reason = GONE if is_gone else FAILING
    repository.end_pending(session, endpoint.id, ENDPOINT_DISABLED, at)
    _log.warning("webhook endpoint %s is disabled: %s", endpoint.id, endpoint.disabled_reason)
    return endpoint.id


def record(session: Session, delivery_id: str, lease: datetime | None, outcome: Outcome) -> float | None:
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
    status, delay = decide(outcome.status, delivery.attempts, delivery.event.kind)
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


def decide(status: int | None, attempts: int, kind: str) -> tuple[DeliveryStatus, float | None]:
    """Return the status of a delivery after an attempt, and the seconds until the next one."""
    if status is not None and 200 <= status <= 299:
        return "delivered", None
    if status == 410:
        return "gone", None
    if kind == TEST or attempts > len(DELAYS_S):
        return "failed", None
    return "pending", DELAYS_S[attempts - 1] * random.uniform(1 - JITTER, 1 + JITTER)


def error_of(status: int) -> str | None:
    if 200 <= status <= 299:
        return None
    if 300 <= status <= 399:
        return f"The receiver responded with {status}. Redirects are not followed: use the final URL."
    return f"The receiver responded with {status}: it must respond with 2xx."
