"""Dependencies and parameters that routes share.

The dependencies are coroutines, although they await nothing: FastAPI runs plain functions in a thread each.
"""

from typing import Annotated, Final

from fastapi import Depends, Query, Request, Security
from fastapi.security import HTTPBearer

from stemsplitter.accounts.service import Caller
from stemsplitter.rate_limits.service import network
from stemsplitter.service_errors import Unauthorized
from stemsplitter.services import Services

# the pattern of every id; it excludes NUL, which a database cannot look up
ID: Final = r"^[0-9A-Za-z_]{1,64}$"
Cursor = Annotated[str | None, Query(pattern=ID, description="`nextCursor` of the previous page.")]

_bearer = HTTPBearer(scheme_name="apiKey", bearerFormat="ast_live_… or ast_test_…", auto_error=False)


async def get_services(request: Request) -> Services:
    """Return the services of this server."""
    services = request.app.state.services
    assert isinstance(services, Services)
    return services


async def get_caller(request: Request, _: Annotated[object, Security(_bearer)]) -> Caller:
    """Return the caller, whose API key the admission middleware has checked.

    Raises:
        Unauthorized: the key is missing, malformed, unknown or revoked.
    """
    caller = getattr(request.state, "caller", None)
    if caller is None:
        raise Unauthorized
    assert isinstance(caller, Caller)
    return caller


ServicesDep = Annotated[Services, Depends(get_services)]
CallerDep = Annotated[Caller, Depends(get_caller)]


def client_network(request: Request) -> str:
    """Return what a request without an account is counted under: the client's address, or its IPv6 /64."""
    return network(request.client.host if request.client else "")
