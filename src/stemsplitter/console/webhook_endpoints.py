"""Saved webhook endpoints of the account."""

from typing import Annotated

from fastapi import APIRouter, Form, Path, Request
from starlette.responses import Response

from stemsplitter.api.dependencies import ID, Cursor, ServicesDep
from stemsplitter.console.access import see_other
from stemsplitter.console.modes import Mode, ModeDep
from stemsplitter.console.rendering import page
from stemsplitter.console.webhooks import PAGE, SENDS
from stemsplitter.service_errors import ServiceError
from stemsplitter.services import Services
from stemsplitter.webhooks.models import ALL, JOB_KINDS

EndpointId = Annotated[str, Path(pattern=ID)]
Url = Annotated[str, Form(max_length=8192)]
Text = Annotated[str, Form(max_length=1000)]
Events = Annotated[list[str], Form(max_length=32)]

router = APIRouter(prefix="/developer/endpoints")


@router.get("")
def show_all(request: Request, services: ServicesDep, mode: ModeDep) -> Response:
    """List the endpoints, with the form for a new one."""
    return _list(request, services, mode)


@router.post("")
def create(
    request: Request,
    services: ServicesDep,
    mode: ModeDep,
    url: Url = "",
    description: Text = "",
    events: Events = [],  # noqa: B006
) -> Response:
    """Save an endpoint and show its secret once."""
    try:
        with services.database.write() as session:
            endpoint, secret = services.webhook_endpoints.create(
                session, mode.account_id, url.strip(), events, description
            )
            endpoint_id = endpoint.id
    except ServiceError as error:
        return _list(request, services, mode, error, url=url, description=description, events=events)
    return _show(request, services, mode, endpoint_id, shown=secret)


@router.get("/{endpoint_id}")
def show(
    request: Request,
    services: ServicesDep,
    mode: ModeDep,
    endpoint_id: EndpointId,
    cursor: Cursor = None,
) -> Response:
    """Show an endpoint and its deliveries."""
    return _show(request, services, mode, endpoint_id, cursor=cursor)


@router.post("/{endpoint_id}")
def update(
    request: Request,
    services: ServicesDep,
    mode: ModeDep,
    endpoint_id: EndpointId,
    url: Url = "",
    description: Text = "",
    events: Events = [],  # noqa: B006
) -> Response:
    """Change URL, description and events."""
    try:
        with services.database.write() as session:
            services.webhook_endpoints.update(
                session,
                mode.account_id,
                endpoint_id,
                url=url.strip(),
                events=events,
                description=description,
            )
    except ServiceError as error:
        if error.status == 404:
            raise
        return _show(request, services, mode, endpoint_id, error=error)
    return see_other(mode.url(f"/developer/endpoints/{endpoint_id}"))


@router.post("/{endpoint_id}/enable")
def enable(services: ServicesDep, mode: ModeDep, endpoint_id: EndpointId) -> Response:
    """Send events to the endpoint again."""
    with services.database.write() as session:
        services.webhook_endpoints.enable(session, mode.account_id, endpoint_id)
    return see_other(mode.url(f"/developer/endpoints/{endpoint_id}"))


@router.post("/{endpoint_id}/disable")
def disable(services: ServicesDep, mode: ModeDep, endpoint_id: EndpointId) -> Response:
    """Send no more events to the endpoint."""
    with services.database.write() as session:
        services.webhook_endpoints.disable(session, mode.account_id, endpoint_id)
    return see_other(mode.url(f"/developer/endpoints/{endpoint_id}"))


@router.post("/{endpoint_id}/secret")
def rotate_secret(
    request: Request, services: ServicesDep, mode: ModeDep, endpoint_id: EndpointId
) -> Response:
    """Rotate the secret and show it once."""
    with services.database.write() as session:
        secret = services.webhook_endpoints.rotate_secret(session, mode.account_id, endpoint_id)
    return _show(request, services, mode, endpoint_id, shown=secret)


@router.post("/{endpoint_id}/test")
def send_test(request: Request, services: ServicesDep, mode: ModeDep, endpoint_id: EndpointId) -> Response:
    """Send a test event and redirect to its delivery."""
    try:
        services.rate_limits.check(mode.account_id, SENDS)
        with services.database.write() as session:
            delivery_id = services.webhook_endpoints.send_test(session, mode.account_id, endpoint_id).id
    except ServiceError as error:
        if error.status == 404:
            raise
        return _show(request, services, mode, endpoint_id, error=error)
    return see_other(mode.url(f"/developer/webhooks/{delivery_id}"))


@router.post("/{endpoint_id}/delete")
def delete(services: ServicesDep, mode: ModeDep, endpoint_id: EndpointId) -> Response:
    """Delete the endpoint."""
    with services.database.write() as session:
        services.webhook_endpoints.delete(session, mode.account_id, endpoint_id)
    return see_other(mode.url("/developer/endpoints"))


def _list(
    request: Request,
    services: Services,
    mode: Mode,
    error: ServiceError | None = None,
    *,
    url: str = "",
    description: str = "",
    events: list[str] | None = None,
) -> Response:
    with services.database.read() as session:
        endpoints = services.webhook_endpoints.all(session, mode.account_id)
    return page(
        request,
        "endpoints.html",
        mode=mode,
        status=error.status if error else 200,
        endpoints=endpoints,
        kinds=JOB_KINDS,
        url=url,
        description=description,
        events=[ALL] if events is None else events,
        error=str(error) if error else "",
    )


def _show(
    request: Request,
    services: Services,
    mode: Mode,
    endpoint_id: str,
    *,
    cursor: str | None = None,
    shown: str = "",
    error: ServiceError | None = None,
) -> Response:
    account_id = mode.account_id
    with services.database.read() as session:
        endpoint = services.webhook_endpoints.get(session, account_id, endpoint_id)
        secrets = services.webhook_secrets.list_secrets(session, account_id, endpoint_id)
        deliveries, after = services.webhooks.deliveries(
            session, account_id, limit=PAGE, cursor=cursor, endpoint_id=endpoint_id
        )
    return page(
        request,
        "endpoint.html",
        mode=mode,
        status=error.status if error else 200,
        endpoint=endpoint,
        secrets=secrets,
        deliveries=deliveries,
        cursor=cursor,
        after=after,
        kinds=JOB_KINDS,
        shown=shown,
        error=str(error) if error else "",
    )
