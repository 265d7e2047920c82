"""What endpoints are given: the services, and who is calling.

They are coroutines, though they wait for nothing: the framework would use a thread for each otherwise.
"""

from typing import Annotated

from fastapi import Depends, Request, Security
from fastapi.security import HTTPBearer

from stemsplitter.accounts.service import Caller
from stemsplitter.service_errors import Unauthorized
from stemsplitter.services import Services

_bearer = HTTPBearer(scheme_name="apiKey", bearerFormat="ast_live_…", auto_error=False)


async def get_application(request: Request) -> Services:
    """The parts of this server."""
    services = request.app.state.services
    assert isinstance(services, Services)
    return services


async def get_caller(request: Request, _: Annotated[object, Security(_bearer)]) -> Caller:
    """Who calls, by the API key that was checked before the endpoint was found.

    Raises:
        Unauthorized: the key is missing, malformed, unknown or revoked.
    """
    caller = getattr(request.state, "caller", None)
    if caller is None:
        raise Unauthorized
    assert isinstance(caller, Caller)
    return caller


ServicesDep = Annotated[Services, Depends(get_application)]
CallerDep = Annotated[Caller, Depends(get_caller)]
