"""API keys of the account."""

from typing import Annotated, Literal

from fastapi import APIRouter, Form, Path, Query, Request
from starlette.responses import Response

from stemsplitter.accounts.keys import is_test_key
from stemsplitter.api.dependencies import ID, Cursor, ServicesDep
from stemsplitter.console.access import SignedInDep, see_other
from stemsplitter.console.rendering import page
from stemsplitter.service_errors import ServiceError
from stemsplitter.services import Services
from stemsplitter.sessions.service import SignedIn

Name = Annotated[str, Form(max_length=1000)]
REQUESTS = 50  # on a page

KeyId = Annotated[str, Path(pattern=ID)]

_CURL = """curl {url}/v1/audio/splits \\
  -H 'Authorization: Bearer {key}' -H 'Content-Type: application/json' \\
  -d '{{"input": {{"type": "direct_url", "url": "https://example.com/song.mp3"}}}}'"""

router = APIRouter()


def curl_command(base_url: str, key: str = "YOUR_API_KEY") -> str:
    """Return a curl command that creates a split."""
    return _CURL.format(url=base_url, key=key)


@router.get("/developer")
def list_keys(request: Request, services: ServicesDep, signed_in: SignedInDep) -> Response:
    """List the account's keys."""
    return _page(request, services, signed_in)


@router.post("/developer/keys")
def create_key(
    request: Request,
    services: ServicesDep,
    signed_in: SignedInDep,
    name: Name = "",
    kind: Annotated[Literal["live", "test"], Form()] = "live",
) -> Response:
    """Create a key and show it in the response: only its hash is stored."""
    try:
        with services.database.write() as session:
            _, shown = services.accounts.create_key(
                session, signed_in.account.id, name, is_test=kind == "test"
            )
    except ServiceError as error:
        return _page(request, services, signed_in, error=error)
    return _page(request, services, signed_in, shown=shown)


@router.post("/developer/keys/{key_id}/rename")
def rename_key(
    request: Request, services: ServicesDep, signed_in: SignedInDep, key_id: KeyId, name: Name = ""
) -> Response:
    """Rename a key."""
    with services.database.write() as session:
        services.accounts.rename_key(session, signed_in.account.id, key_id, name)
    return see_other("/developer")


@router.post("/developer/keys/{key_id}/revoke")
def revoke_key(services: ServicesDep, signed_in: SignedInDep, key_id: KeyId) -> Response:
    """Revoke a key."""
    with services.database.write() as session:
        services.accounts.revoke_key(session, signed_in.account.id, key_id)
    return see_other("/developer")


@router.get("/developer/requests")
def list_requests(
    request: Request,
    services: ServicesDep,
    signed_in: SignedInDep,
    key: Annotated[str, Query(max_length=64)] = "",
    cursor: Cursor = None,
) -> Response:
    """List the requests of the account, or of one of its keys, newest first."""
    account_id = signed_in.account.id
    with services.database.read() as session:
        keys = services.accounts.list_keys(session, account_id)
        found, after = services.api_requests.page(
            session, account_id, key_id=key, limit=REQUESTS, cursor=cursor
        )
    return page(
        request,
        "requests.html",
        keys=keys,
        names={each.id: each.name or each.prefix for each in keys},
        tests={each.id for each in keys if each.is_test},
        chosen=key,
        found=found,
        cursor=cursor,
        after=after,
    )


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
        is_test=is_test_key(shown),
        curl=curl_command(services.settings.base_url, shown),
        error=str(error) if error else "",
    )
