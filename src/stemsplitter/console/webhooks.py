"""Webhooks of the account: signing secret, deliveries and test events."""

import json
from typing import Annotated

from fastapi import APIRouter, Form, Path, Query, Request
from starlette.responses import Response

from stemsplitter.api.dependencies import ID, Cursor, ServicesDep
from stemsplitter.console.access import see_other
from stemsplitter.console.modes import Mode, ModeDep
from stemsplitter.console.rendering import page
from stemsplitter.rate_limits.service import Policy
from stemsplitter.service_errors import ServiceError
from stemsplitter.services import Services
from stemsplitter.webhooks.models import DeliveryStatus

PAGE = 25
SENDS = Policy("webhook", 20)  # test events and replays
MAX_POLLS = 30  # by the page, of a pending delivery

DeliveryId = Annotated[str, Path(pattern=ID)]

router = APIRouter(prefix="/developer/webhooks")


@router.get("")
def show(
    request: Request,
    services: ServicesDep,
    mode: ModeDep,
    cursor: Cursor = None,
    status: DeliveryStatus | None = None,
) -> Response:
    """Show the signing secret and the deliveries, newest first."""
    return _page(request, services, mode, cursor=cursor, only=status)


@router.post("/secret")
def rotate_secret(request: Request, services: ServicesDep, mode: ModeDep) -> Response:
    """Create or rotate the secret and show it once."""
    with services.database.write() as session:
        shown = services.webhook_secrets.rotate_secret(session, mode.account_id)
    return _page(request, services, mode, shown=shown)


@router.post("/test")
def send_test(
    request: Request,
    services: ServicesDep,
    mode: ModeDep,
    url: Annotated[str, Form(max_length=8192)],
) -> Response:
    """Send a test event and redirect to its delivery."""
    try:
        services.rate_limits.check(mode.account_id, SENDS)
        with services.database.write() as session:
            delivery = services.webhooks.send_test(session, mode.account_id, url)
    except ServiceError as error:
        return _page(request, services, mode, error=error, url=url)
    return see_other(mode.url(f"/developer/webhooks/{delivery.id}"))


@router.get("/{delivery_id}")
def show_delivery(
    request: Request,
    services: ServicesDep,
    mode: ModeDep,
    delivery_id: DeliveryId,
    polls: Annotated[int, Query(ge=0)] = 0,
) -> Response:
    """Show a delivery: request, attempts and responses."""
    with services.database.read() as session:
        delivery, attempts = services.webhooks.delivery(session, mode.account_id, delivery_id)
    body = json.dumps(json.loads(delivery.event.payload), indent=2, ensure_ascii=False)
    return page(
        request,
        "delivery.html",
        mode=mode,
        delivery=delivery,
        event=delivery.event,
        attempts=attempts,
        # JSON can hold a lone surrogate, which cannot be encoded
        body=body.encode("utf-8", "backslashreplace").decode(),
        body_bytes=len(delivery.event.payload.encode()),
        polls=polls + 1 if delivery.status == "pending" and polls < MAX_POLLS else None,
    )


@router.post("/{delivery_id}/replay")
def replay(services: ServicesDep, mode: ModeDep, delivery_id: DeliveryId) -> Response:
    """Deliver the event again."""
    services.rate_limits.check(mode.account_id, SENDS)
    with services.database.write() as session:
        delivery = services.webhooks.replay(session, mode.account_id, delivery_id)
    return see_other(mode.url(f"/developer/webhooks/{delivery.id}"))


def _page(
    request: Request,
    services: Services,
    mode: Mode,
    *,
    cursor: str | None = None,
    only: DeliveryStatus | None = None,
    shown: str = "",
    error: ServiceError | None = None,
    url: str = "",
) -> Response:
    account_id = mode.account_id
    with services.database.read() as session:
        secrets = services.webhook_secrets.list_secrets(session, account_id)
        deliveries, after = services.webhooks.deliveries(
            session, account_id, limit=PAGE, cursor=cursor, status=only
        )
    return page(
        request,
        "webhooks.html",
        mode=mode,
        status=error.status if error else 200,
        secrets=secrets,
        deliveries=deliveries,
        cursor=cursor,
        after=after,
        only=only,
        shown=shown,
        error=str(error) if error else "",
        url=url,
    )
