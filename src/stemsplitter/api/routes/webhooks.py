"""Routes of webhooks: deliveries, replays, test events and signing secrets."""

from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Query

from stemsplitter.api.dependencies import ID, CallerDep, Cursor, ServicesDep
from stemsplitter.api.documentation import documented
from stemsplitter.api.envelope import Envelope, JsonResponse, success
from stemsplitter.webhooks import schemas
from stemsplitter.webhooks.models import DeliveryStatus, WebhookAttempt, WebhookDelivery

router = APIRouter(tags=["Webhooks"])

_EXAMPLE = {
    "id": "dlv_0Yx3kQpAb2Jd7MfTn5Rv8W",
    "event": "audio.split.completed",
    "eventId": "evt_0Yx3kQpAb2Jd7MfTn5Rv8W",
    "splitId": "split_0Yx3kQpAb2Jd7MfTn5Rv8W",
    "url": "https://example.com/webhooks/stems",
    "endpointId": None,
    "status": "delivered",
    "attempts": 1,
    "lastStatus": 204,
    "lastError": None,
    "nextAttemptAt": None,
    "createdAt": "2026-05-03T10:21:14.512Z",
    "updatedAt": "2026-05-03T10:21:14.512Z",
}
_PENDING_EXAMPLE = _EXAMPLE | {"status": "pending", "attempts": 0, "lastStatus": None}
TEST_EXAMPLE = _PENDING_EXAMPLE | {
    "event": "webhook.test",
    "splitId": None,
    "nextAttemptAt": "2026-05-03T10:21:14.512Z",
}
_LOG_EXAMPLE = _EXAMPLE | {
    "payload": '{"event":"audio.split.completed","data":{}}',
    "log": [
        {
            "at": "2026-05-03T10:21:14.512Z",
            "statusCode": 204,
            "error": None,
            "durationMs": 83,
            "responseExcerpt": "",
        }
    ],
}
_SECRET_EXAMPLE = {
    "id": "whs_0Yx3kQpAb2Jd7MfTn5Rv8W",
    "prefix": "whsec_MfKQ9r",
    "createdAt": "2026-05-03T10:20:30.000Z",
    "expiresAt": None,
}
OF_DELIVERY = {"delivery_id": "$response.body#/data/id"}


@router.get(
    "/v1/webhooks/deliveries",
    response_model=Envelope[schemas.DeliveryPage],
    operation_id="listWebhookDeliveries",
    openapi_extra=documented(response={"items": [_EXAMPLE], "nextCursor": None}),
)
def list_deliveries(
    services: ServicesDep,
    caller: CallerDep,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
    cursor: Cursor = None,
    status: DeliveryStatus | None = None,
    split_id: Annotated[str | None, Query(alias="splitId", pattern=ID)] = None,
    endpoint_id: Annotated[str | None, Query(alias="endpointId", pattern=ID)] = None,
) -> JsonResponse:
    """List deliveries, newest first. The log is kept for 30 days."""
    with services.database.read() as session:
        found, next_cursor = services.webhooks.deliveries(
            session,
            caller.account_id,
            limit=limit,
            cursor=cursor,
            status=status,
            split_id=split_id,
            endpoint_id=endpoint_id,
        )
        items = [delivery_view(each) for each in found]
    return success(schemas.DeliveryPage(items=items, next_cursor=next_cursor))


@router.get(
    "/v1/webhooks/deliveries/{delivery_id}",
    response_model=Envelope[schemas.DeliveryWithLog],
    operation_id="getWebhookDelivery",
    openapi_extra=documented(response=_LOG_EXAMPLE),
)
def get_delivery(services: ServicesDep, caller: CallerDep, delivery_id: str) -> JsonResponse:
    """Get a delivery with its body and attempts."""
    with services.database.read() as session:
        delivery, attempts = services.webhooks.delivery(session, caller.account_id, delivery_id)
    return success(_with_log(delivery, attempts))


@router.post(
    "/v1/webhooks/deliveries/{delivery_id}/replay",
    response_model=Envelope[schemas.Delivery],
    operation_id="replayWebhookDelivery",
    openapi_extra=documented(response=_PENDING_EXAMPLE, errors=("CONFLICT",)),
)
def replay_delivery(services: ServicesDep, caller: CallerDep, delivery_id: str) -> JsonResponse:
    """Deliver an event again: creates a delivery with the same event id and body."""
    with services.database.write() as session:
        delivery = services.webhooks.replay(session, caller.account_id, delivery_id)
    return success(delivery_view(delivery))


@router.post(
    "/v1/webhooks/test",
    response_model=Envelope[schemas.Delivery],
    operation_id="sendWebhookTest",
    openapi_extra=documented(
        request={"url": "https://example.com/webhooks/stems"},
        response=TEST_EXAMPLE,
        links={"getWebhookDelivery": OF_DELIVERY, "replayWebhookDelivery": OF_DELIVERY},
    ),
)
def send_test(services: ServicesDep, caller: CallerDep, body: schemas.TestRequest) -> JsonResponse:
    """Send a `webhook.test` event, signed like any other and attempted once. The delivery shows the result."""
    with services.database.write() as session:
        delivery = services.webhooks.send_test(session, caller.account_id, body.url)
    return success(delivery_view(delivery))


@router.get(
    "/v1/webhooks/secrets",
    response_model=Envelope[schemas.SecretList],
    operation_id="listWebhookSecrets",
    openapi_extra=documented(response={"items": [_SECRET_EXAMPLE]}),
)
def list_secrets(services: ServicesDep, caller: CallerDep) -> JsonResponse:
    """List the active signing secrets."""
    with services.database.read() as session:
        found = services.webhook_secrets.list_secrets(session, caller.account_id)
    items = [
        schemas.Secret(id=each.id, prefix=each.prefix, created_at=each.created_at, expires_at=each.expires_at)
        for each in found
    ]
    return success(schemas.SecretList(items=items))


@router.post(
    "/v1/webhooks/secrets/rotate",
    response_model=Envelope[schemas.NewSecret],
    operation_id="rotateWebhookSecret",
    openapi_extra=documented(response={"secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYo="}),
)
def rotate_secret(services: ServicesDep, caller: CallerDep) -> JsonResponse:
    """Create a signing secret. The previous one stays active for 24 hours."""
    with services.database.write() as session:
        secret = services.webhook_secrets.rotate_secret(session, caller.account_id)
    return success(schemas.NewSecret(secret=secret), {"Cache-Control": "no-store"})


def delivery_view(delivery: WebhookDelivery) -> schemas.Delivery:
    """Return a delivery as clients see it."""
    return schemas.Delivery(**_fields(delivery))


def _with_log(delivery: WebhookDelivery, attempts: Sequence[WebhookAttempt]) -> schemas.DeliveryWithLog:
    log = [schemas.Attempt.model_validate(each, from_attributes=True) for each in attempts]
    return schemas.DeliveryWithLog(**_fields(delivery), payload=delivery.event.payload, log=log)


def _fields(delivery: WebhookDelivery) -> dict[str, Any]:
    event = delivery.event
    return {
        "id": delivery.id,
        "event": event.kind,
        "event_id": event.id,
        "split_id": event.split_id,
        "url": delivery.url,
        "endpoint_id": delivery.endpoint_id,
        "status": delivery.status,
        "attempts": delivery.attempts,
        "last_status": delivery.last_status,
        "last_error": delivery.last_error,
        "next_attempt_at": delivery.next_attempt_at,
        "created_at": delivery.created_at,
        "updated_at": delivery.updated_at,
    }
