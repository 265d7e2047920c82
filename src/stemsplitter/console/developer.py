"""API keys of the account."""

from typing import Annotated

from fastapi import APIRouter, Form, Path, Request
from starlette.responses import Response

from stemsplitter.api.dependencies import ID, ServicesDep
from stemsplitter.console.access import SignedInDep, see_other
from stemsplitter.console.curl import curl_line
from stemsplitter.console.rendering import page
from stemsplitter.service_errors import ServiceError
from stemsplitter.services import Services
from stemsplitter.sessions.service import SignedIn

Name = Annotated[str, Form(max_length=1000)]
KeyId = Annotated[str, Path(pattern=ID)]

router = APIRouter()


@router.get("/developer")
def list_keys(request: Request, services: ServicesDep, signed_in: SignedInDep) -> Response:
    """The account's keys, and a form to make another one."""
    return _page(request, services, signed_in)


@router.post("/developer/keys")
def create_key(request: Request, services: ServicesDep, signed_in: SignedInDep, name: Name = "") -> Response:
    """Make a key and show it: on this very page, as it is kept nowhere from which another could show it."""
    try:
        with services.database.write() as session:
            _, shown = services.accounts.create_key(session, signed_in.account.id, name)
    except ServiceError as error:
        return _page(request, services, signed_in, error=error)
    return _page(request, services, signed_in, shown=shown)


@router.post("/developer/keys/{key_id}/rename")
def rename_key(
    request: Request, services: ServicesDep, signed_in: SignedInDep, key_id: KeyId, name: Name = ""
) -> Response:
    """Call a key something else."""
    with services.database.write() as session:
        services.accounts.rename_key(session, signed_in.account.id, key_id, name)
    return see_other("/developer")


@router.post("/developer/keys/{key_id}/revoke")
def revoke_key(services: ServicesDep, signed_in: SignedInDep, key_id: KeyId) -> Response:
    """Refuse a key from now on."""
    with services.database.write() as session:
        services.accounts.revoke_key(session, signed_in.account.id, key_id)
    return see_other("/developer")


def _page(
    request: Request,
    services: Services,
    signed_in: SignedIn,
    shown: str = "",
    error: ServiceError | None = None,
) -> Response:
    with services.database.read() as session:
        keys = services.accounts.list_keys(session, signed_in.account.id)
    return page(
        request,
        "developer.html",
        status=error.status if error else 200,
        keys=sorted(keys, key=lambda key: (key.revoked_at is not None, -key.created_at.timestamp())),
        shown=shown,
        curl=curl_line(services.settings.base_url, shown),
        error=str(error) if error else "",
    )
