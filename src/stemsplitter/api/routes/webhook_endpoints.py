"""Routes of saved webhook endpoints."""

from typing import Annotated, Any

from fastapi import APIRouter, Path

from stemsplitter.api.dependencies import ID, CallerDep, ServicesDep
from stemsplitter.api.documentation import documented
from stemsplitter.api.envelope import Envelope, JsonResponse, success
from stemsplitter.api.routes.webhooks import OF_DELIVERY, TEST_EXAMPLE, delivery_view
from stemsplitter.webhooks import schemas
from stemsplitter.webhooks.models import WebhookEndpoint

router = APIRouter(tags=["Webhooks"])

EndpointId = Annotated[str, Path(pattern=ID)]

_PATH = "/v1/webhook_endpoints"
_ID = "whe_0Yx3kQpAb2Jd7MfTn5Rv8W"
_SECRET = {"secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYo="}
_REQUEST = {
    "url": "https://example.com/webhooks/stems",
    "events": ["audio.split.completed", "audio.split.failed"],
    "description": "Production",
}
_EXAMPLE = {
    "id": _ID,
    **_REQUEST,
    "status": "enabled",
    "disabledReason": None,
    "failingSince": None,
    "createdAt": "2026-05-03T10:20:30.000Z",
    "updatedAt": "2026-05-03T10:20:30.000Z",
}
_OF_ENDPOINT = {"endpoint_id": "$response.body#/data/id"}
_OPERATIONS = (
    "getWebhookEndpoint", "updateWebhookEndpoint", "rotateWebhookEndpointSecret", "testWebhookEndpoint",
    "deleteWebhookEndpoint",
)  # fmt: skip


@router.post(
    _PATH,
    response_model=Envelope[schemas.NewEndpoint],
    operation_id="createWebhookEndpoint",
    openapi_extra=documented(
        request=_REQUEST,
        response=_EXAMPLE | _SECRET,
        errors=("CONFLICT",),
        links=dict.fromkeys(_OPERATIONS, _OF_ENDPOINT),
    ),
)
def create_endpoint(services: ServicesDep, caller: CallerDep, body: schemas.EndpointRequest) -> JsonResponse:
    """Save an endpoint, which gets the chosen events of all jobs. An account has at most 16 endpoints.

    Its signing secret is in this response only.
    """
    with services.database.write() as session:
        endpoint, secret = services.webhook_endpoints.create(
            session, caller.account_id, body.url, body.events, body.description
        )
        made = schemas.NewEndpoint(**_fields(endpoint), secret=secret)
    return success(made, {"Cache-Control": "no-store"})


@router.get(
    _PATH,
    response_model=Envelope[schemas.EndpointList],
    operation_id="listWebhookEndpoints",
    openapi_extra=documented(response={"items": [_EXAMPLE]}),
)
def list_endpoints(services: ServicesDep, caller: CallerDep) -> JsonResponse:
    """List all endpoints, newest first."""
    with services.database.read() as session:
        found = services.webhook_endpoints.all(session, caller.account_id)
        items = [_view(each) for each in found]
    return success(schemas.EndpointList(items=items))


@router.get(
    _PATH + "/{endpoint_id}",
    response_model=Envelope[schemas.Endpoint],
    operation_id="getWebhookEndpoint",
    openapi_extra=documented(response=_EXAMPLE),
)
def get_endpoint(services: ServicesDep, caller: CallerDep, endpoint_id: EndpointId) -> JsonResponse:
    """Get an endpoint."""
    with services.database.read() as session:
        return success(_view(services.webhook_endpoints.get(session, caller.account_id, endpoint_id)))


@router.post(
    _PATH + "/{endpoint_id}",
    response_model=Envelope[schemas.Endpoint],
    operation_id="updateWebhookEndpoint",
    openapi_extra=documented(
        request={"status": "disabled"},
        response=_EXAMPLE | {"status": "disabled"},
    ),
)
def update_endpoint(
    services: ServicesDep, caller: CallerDep, endpoint_id: EndpointId, body: schemas.EndpointChanges
) -> JsonResponse:
    """Change an endpoint. Pending deliveries go to a new URL; disabling ends them as failed."""
    endpoints, account_id = services.webhook_endpoints, caller.account_id
    with services.database.write() as session:
        endpoint = endpoints.update(
            session,
            account_id,
            endpoint_id,
            url=body.url,
            events=body.events,
            description=body.description,
        )
        if body.status == "enabled":
            endpoints.enable(session, account_id, endpoint_id)
        elif body.status == "disabled":
            endpoints.disable(session, account_id, endpoint_id)
        changed = _view(endpoint)
    return success(changed)


@router.post(
    _PATH + "/{endpoint_id}/rotate",
    response_model=Envelope[schemas.NewSecret],
    operation_id="rotateWebhookEndpointSecret",
    openapi_extra=documented(response=_SECRET),
)
def rotate_endpoint_secret(services: ServicesDep, caller: CallerDep, endpoint_id: EndpointId) -> JsonResponse:
    """Create a signing secret of the endpoint. The previous one stays active for 24 hours."""
    with services.database.write() as session:
        secret = services.webhook_endpoints.rotate_secret(session, caller.account_id, endpoint_id)
    return success(schemas.NewSecret(secret=secret), {"Cache-Control": "no-store"})


@router.post(
    _PATH + "/{endpoint_id}/test",
    response_model=Envelope[schemas.Delivery],
    operation_id="testWebhookEndpoint",
    openapi_extra=documented(
        response=TEST_EXAMPLE | {"endpointId": _ID},
        links={"getWebhookDelivery": OF_DELIVERY, "replayWebhookDelivery": OF_DELIVERY},
    ),
)
def test_endpoint(services: ServicesDep, caller: CallerDep, endpoint_id: EndpointId) -> JsonResponse:
    """Send a `webhook.test` event to the endpoint, attempted once. The delivery shows the result."""
    with services.database.write() as session:
        delivery = services.webhook_endpoints.send_test(session, caller.account_id, endpoint_id)
        view = delivery_view(delivery)
    return success(view)


@router.delete(
    _PATH + "/{endpoint_id}",
    response_model=Envelope[schemas.DeletedEndpoint],
    operation_id="deleteWebhookEndpoint",
    openapi_extra=documented(response={"id": _ID, "deleted": True}),
)
def delete_endpoint(services: ServicesDep, caller: CallerDep, endpoint_id: EndpointId) -> JsonResponse:
    """Delete the endpoint and its secrets. Its pending deliveries end as failed; the log stays."""
    with services.database.write() as session:
        services.webhook_endpoints.delete(session, caller.account_id, endpoint_id)
    return success(schemas.DeletedEndpoint(id=endpoint_id))


def _view(endpoint: WebhookEndpoint) -> schemas.Endpoint:
    return schemas.Endpoint(**_fields(endpoint))


def _fields(endpoint: WebhookEndpoint) -> dict[str, Any]:
    names = (
        "id", "url", "description", "events", "disabled_reason", "failing_since", "created_at", "updated_at",
    )  # fmt: skip
    return {
        **{name: getattr(endpoint, name) for name in names},
        "status": "enabled" if endpoint.disabled_at is None else "disabled",
    }
