"""Export and deletion of the account."""

from typing import Annotated

from fastapi import APIRouter, Form, Request
from starlette.responses import Response, StreamingResponse

from stemsplitter.account_data.export import stream_export
from stemsplitter.api.dependencies import ServicesDep
from stemsplitter.console.access import SignedInDep, see_other
from stemsplitter.console.account import throttle
from stemsplitter.console.cookies import COOKIE
from stemsplitter.console.rendering import page
from stemsplitter.rate_limits.service import HOUR_S, Policy
from stemsplitter.service_errors import Conflict, ServiceError

EXPORTS = Policy("account export", 10, HOUR_S)

router = APIRouter()


@router.post("/account/export")
def export(services: ServicesDep, signed_in: SignedInDep) -> StreamingResponse:
    """Download the data of the account."""
    account_id = signed_in.account.id
    services.rate_limits.check(account_id, EXPORTS)
    headers = {
        "Content-Disposition": f'attachment; filename="{account_id}.json"',
        "Cache-Control": "no-store",
    }
    return StreamingResponse(
        stream_export(services.database, account_id), media_type="application/json", headers=headers
    )


@router.get("/account/delete")
def delete_page(request: Request, signed_in: SignedInDep) -> Response:
    """Say what is deleted, and ask for the password."""
    return page(request, "account_delete.html", error="")


@router.post("/account/delete")
def delete(
    request: Request,
    services: ServicesDep,
    signed_in: SignedInDep,
    current: Annotated[str, Form(max_length=2000)] = "",
) -> Response:
    """Delete the account and end the session."""
    account = signed_in.account
    try:
        throttle(request, services, account.email)
        if account.password_hash is None:
            raise Conflict("Set a password first: it confirms the deletion.")
        services.accounts.check_password(account, current)
        services.account_deletion.delete(account.id)
    except ServiceError as error:
        return page(request, "account_delete.html", status=error.status, error=str(error))
    response = see_other("/account/deleted")
    response.delete_cookie(COOKIE)
    return response


@router.get("/account/deleted")
def deleted_page(request: Request) -> Response:
    """Say that the account is deleted."""
    return page(request, "account_deleted.html")
