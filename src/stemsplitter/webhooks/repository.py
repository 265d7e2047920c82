"""Queries of webhook events, deliveries and attempts."""

from collections.abc import Collection, Sequence
from datetime import datetime

from sqlalchemy import (
    ColumnElement,
    CursorResult,
    Delete,
    bindparam,
    delete,
    exists,
    func,
    literal,
    null,
    or_,
    select,
    update,
)
from sqlalchemy.orm import Session

from stemsplitter.database.paging import page
from stemsplitter.webhooks.models import (
    DeliveryStatus,
    WebhookAttempt,
    WebhookDelivery,
    WebhookEndpoint,
    WebhookEvent,
)

# a literal, as a partial index is not used if the status is a parameter
_PENDING = WebhookDelivery.status == literal("pending", literal_execute=True)
# made once, as an idle worker asks it five times a second
_ANY_DUE = select(1).where(_PENDING, WebhookDelivery.next_attempt_at <= bindparam("at")).limit(1)


def delivery(session: Session, delivery_id: str, *, lock: bool = False) -> WebhookDelivery | None:
    """Return a delivery with its event, optionally locked until the transaction ends."""
    query = select(WebhookDelivery).where(WebhookDelivery.id == delivery_id)
    if lock:
        query = query.with_for_update(of=WebhookDelivery)
    return session.scalar(query)


def job_deliveries(session: Session, job_id: str, kind: str) -> Sequence[str]:
    """Return the ids of the deliveries of a job's event, oldest first."""
    return session.scalars(
        select(WebhookDelivery.id)
        .join(WebhookEvent)
        .where(WebhookEvent.split_id == job_id, WebhookEvent.kind == kind)
        .order_by(WebhookDelivery.created_at, WebhookDelivery.id)
    ).all()


def endpoint(session: Session, endpoint_id: str, *, lock: bool = False) -> WebhookEndpoint | None:
    """Return an endpoint, optionally locked until the transaction ends."""
    return session.get(WebhookEndpoint, endpoint_id, with_for_update=lock or None)


def endpoints(session: Session, account_id: str) -> Sequence[WebhookEndpoint]:
    """Return the account's endpoints, newest first."""
    return session.scalars(
        select(WebhookEndpoint)
        .where(WebhookEndpoint.account_id == account_id)
        .order_by(WebhookEndpoint.created_at.desc(), WebhookEndpoint.id.desc())
    ).all()


def end_pending(session: Session, endpoint_id: str, reason: str, at: datetime) -> None:
    """End the pending deliveries to an endpoint as failed."""
    pending = update(WebhookDelivery).where(WebhookDelivery.endpoint_id == endpoint_id, _PENDING)
    values = {"status": "failed", "last_error": reason, "next_attempt_at": null(), "updated_at": at}
    session.execute(pending.values(values), execution_options={"synchronize_session": "fetch"})


def redirect_pending(session: Session, endpoint_id: str, url: str) -> None:
    """Send the pending deliveries to an endpoint to its new URL."""
    pending = update(WebhookDelivery).where(WebhookDelivery.endpoint_id == endpoint_id, _PENDING)
    session.execute(pending.values(url=url), execution_options={"synchronize_session": "fetch"})


def attempts(session: Session, delivery_id: str) -> Sequence[WebhookAttempt]:
    """Return the delivery's attempts, oldest first."""
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
    cursor: str | None,
    status: DeliveryStatus | None,
    split_id: str | None,
    endpoint_id: str | None,
) -> tuple[Sequence[WebhookDelivery], str | None]:
    """Return a page of the account's deliveries."""
    own = select(WebhookDelivery).where(WebhookDelivery.account_id == account_id)
    only: list[ColumnElement[bool]] = []
    if status is not None:
        only.append(WebhookDelivery.status == status)
    if split_id is not None:
        only.append(WebhookDelivery.event.has(WebhookEvent.split_id == split_id))
    if endpoint_id is not None:
        only.append(WebhookDelivery.endpoint_id == endpoint_id)
    order = (WebhookDelivery.created_at, WebhookDelivery.id)
    return page(session, own, order, limit=limit, cursor=cursor, only=only)


def due(session: Session, at: datetime) -> dict[str, str]:
    """Return the oldest due delivery of each account: delivery id → account id.

    A loose index scan goes from account to account, so that its time grows with the accounts and not with their
    deliveries.
    """
    if session.scalar(_ANY_DUE, {"at": at}) is None:
        return {}
    account_id = WebhookDelivery.account_id
    first = select(func.min(account_id).label("id")).where(_PENDING).cte("waiting", recursive=True)
    following = select(func.min(account_id)).where(_PENDING, account_id > first.c.id).scalar_subquery()
    waiting = first.union_all(select(following).where(first.c.id.is_not(None)))
    oldest = (
        select(WebhookDelivery.id)
        .where(_PENDING, account_id == waiting.c.id, WebhookDelivery.next_attempt_at <= at)
        .order_by(WebhookDelivery.next_attempt_at, WebhookDelivery.id)
        .limit(1)
        .scalar_subquery()
    )
    return {found: account for found, account in session.execute(select(oldest, waiting.c.id)) if found}


def claim(session: Session, delivery_ids: Collection[str], at: datetime, until: datetime) -> Sequence[str]:
    """Lease the deliveries that are still due until ``until``, and return their ids."""
    still_due = select(WebhookDelivery.id).where(
        WebhookDelivery.id.in_(delivery_ids), _PENDING, WebhookDelivery.next_attempt_at <= at
    )
    claimed = session.scalars(still_due.with_for_update(skip_locked=True)).all()
    leased = update(WebhookDelivery).where(WebhookDelivery.id.in_(claimed))
    session.execute(leased.values(next_attempt_at=until), execution_options={"synchronize_session": False})
    return claimed


def delete_excess(session: Session, kept: int) -> int:
    """Delete all but the newest ``kept`` deliveries of each account, pending or not, and return their number."""
    account_id = WebhookDelivery.account_id
    excessive = select(account_id).group_by(account_id).having(func.count() > kept)
    deleted = 0
    for account in session.scalars(excessive).all():
        own = WebhookDelivery.account_id == account
        newest = select(WebhookDelivery.id).where(own)
        newest = newest.order_by(WebhookDelivery.created_at.desc(), WebhookDelivery.id.desc()).limit(kept)
        deleted += _delete(session, delete(WebhookDelivery).where(own, WebhookDelivery.id.not_in(newest)))
        has_delivery = exists().where(WebhookDelivery.event_id == WebhookEvent.id)
        _delete(session, delete(WebhookEvent).where(WebhookEvent.account_id == account, ~has_delivery))
    return deleted


def delete_events(session: Session, before: datetime) -> int:
    """Delete the events created before a time, except those delivered since or still pending. Return their number."""
    in_use = exists().where(
        WebhookDelivery.event_id == WebhookEvent.id,
        or_(WebhookDelivery.status == "pending", WebhookDelivery.updated_at >= before),
    )
    return _delete(session, delete(WebhookEvent).where(WebhookEvent.created_at < before, ~in_use))


def _delete(session: Session, statement: Delete) -> int:
    deleted = session.execute(statement, execution_options={"synchronize_session": False})
    assert isinstance(deleted, CursorResult)
    return deleted.rowcount
