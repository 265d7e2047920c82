"""Queries of webhook events, deliveries and attempts."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import CursorResult, and_, delete, exists, or_, select
from sqlalchemy.orm import Session

from stemsplitter.webhooks.models import DeliveryStatus, WebhookAttempt, WebhookDelivery, WebhookEvent


def delivery(session: Session, delivery_id: str, *, lock: bool = False) -> WebhookDelivery | None:
    """The delivery with its event; locked, nobody else changes it until this transaction ends."""
    query = select(WebhookDelivery).where(WebhookDelivery.id == delivery_id)
    if lock:
        query = query.with_for_update(of=WebhookDelivery)
    return session.scalar(query)


def first_delivery(session: Session, split_id: str, kind: str) -> WebhookDelivery | None:
    """The delivery that the event of a split began with, if there is that event."""
    return session.scalar(
        select(WebhookDelivery)
        .join(WebhookEvent)
        .where(WebhookEvent.split_id == split_id, WebhookEvent.kind == kind)
        .order_by(WebhookDelivery.created_at, WebhookDelivery.id)
        .limit(1)
    )


def attempts(session: Session, delivery_id: str) -> Sequence[WebhookAttempt]:
    """The delivery's attempts, the first one first."""
    return session.scalars(
        select(WebhookAttempt)
        .where(WebhookAttempt.delivery_id == delivery_id)
        .order_by(WebhookAttempt.at, WebhookAttempt.id)
    ).all()


def deliveries(
    session: Session,
    account_id: str,
    *,
    limit: int,
    before: WebhookDelivery | None = None,
    status: DeliveryStatus | None = None,
    split_id: str | None = None,
) -> Sequence[WebhookDelivery]:
    """At most ``limit`` of an account's deliveries, the newest first; ``before`` is where the last page ended."""
    query = select(WebhookDelivery).where(WebhookDelivery.account_id == account_id)
    if before is not None:
        query = query.where(
            or_(
                WebhookDelivery.created_at < before.created_at,
                and_(WebhookDelivery.created_at == before.created_at, WebhookDelivery.id < before.id),
            )
        )
    if status is not None:
        query = query.where(WebhookDelivery.status == status)
    if split_id is not None:
        query = query.where(WebhookDelivery.event.has(WebhookEvent.split_id == split_id))
    query = query.order_by(WebhookDelivery.created_at.desc(), WebhookDelivery.id.desc()).limit(limit)
    return session.scalars(query).all()


def delete_events(session: Session, before: datetime) -> int:
    """Delete the events made ``before`` then, unless a delivery is under way or was since; returns how many."""
    in_use = exists().where(
        WebhookDelivery.event_id == WebhookEvent.id,
        or_(WebhookDelivery.status == "pending", WebhookDelivery.updated_at >= before),
    )
    deleted = session.execute(delete(WebhookEvent).where(WebhookEvent.created_at < before, ~in_use))
    assert isinstance(deleted, CursorResult)
    return deleted.rowcount
