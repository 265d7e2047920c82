"""Operator pages for accounts."""

from typing import Annotated

from fastapi import APIRouter, Depends, Form, Path, Query, Request
from starlette.responses import Response

from stemsplitter.api.dependencies import ID, Cursor, ServicesDep
from stemsplitter.console import access
from stemsplitter.console.access import OperatorDep, see_other
from stemsplitter.console.rendering import page
from stemsplitter.service_errors import ServiceError
from stemsplitter.services import Services

PAGE = 50
ENTRIES = 25

AccountId = Annotated[str, Path(pattern=ID)]

router = APIRouter(prefix="/operator/accounts", dependencies=[Depends(access.operator)])


@router.get("")
def list_accounts(
    request: Request,
    services: ServicesDep,
    q: Annotated[str, Query(max_length=300)] = "",
    cursor: Cursor = None,
) -> Response:
    """List accounts, newest first, optionally filtered by a search."""
    with services.database.read() as session:
        found, after = services.accounts.page(session, search=q, limit=PAGE, cursor=cursor)
    return page(request, "operator_accounts.html", accounts=found, q=q, cursor=cursor, after=after)


@router.get("/{account_id}")
def show_account(request: Request, services: ServicesDep, account_id: AccountId) -> Response:
    """Show an account with its keys and ledger."""
    return _page(request, services, account_id)


@router.post("/{account_id}/disable")
def disable(
    request: Request, services: ServicesDep, operator: OperatorDep, account_id: AccountId
) -> Response:
    """Disable the account."""
    try:
        with services.database.write() as session:
            services.accounts.disable_account(session, account_id, by=operator.account.id)
    except ServiceError as error:
        return _page(request, services, account_id, error=error)
    return see_other(f"/operator/accounts/{account_id}")


@router.post("/{account_id}/enable")
def enable(services: ServicesDep, account_id: AccountId) -> Response:
    """Enable the account."""
    with services.database.write() as session:
        services.accounts.enable_account(session, account_id)
    return see_other(f"/operator/accounts/{account_id}")


@router.post("/{account_id}/credits")
def grant(
    request: Request,
    services: ServicesDep,
    account_id: AccountId,
    amount: Annotated[int, Form()],
    note: Annotated[str, Form(max_length=500)] = "",
) -> Response:
    """Grant credits, or deduct them if the amount is negative."""
    try:
        with services.database.write() as session:
            services.credits.grant(session, account_id, amount, note.strip().replace("\0", ""))
    except ServiceError as error:
        return _page(request, services, account_id, error=error)
    return see_other(f"/operator/accounts/{account_id}")


def _page(
    request: Request, services: Services, account_id: str, error: ServiceError | None = None
) -> Response:
    with services.database.read() as session:
        account = services.accounts.find_account(session, account_id)
        keys = services.accounts.list_keys(session, account_id)
        entries, _ = services.credits.page(session, account_id, limit=ENTRIES, cursor=None)
    return page(
        request,
        "operator_account.html",
        status=error.status if error else 200,
        account=account,
        keys=keys,
        entries=entries,
        error=str(error) if error else "",
    )
