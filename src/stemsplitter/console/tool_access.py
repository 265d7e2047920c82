"""Access to the tools: an account, or a visitor without one, whose analyses a cookie identifies."""

import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated

from fastapi import Depends, Request
from starlette.responses import Response

from stemsplitter.api.dependencies import ServicesDep, client_network
from stemsplitter.console.access import SignInRequired, guard
from stemsplitter.console.cookies import set_cookie
from stemsplitter.console.tools import Tool, find_tool
from stemsplitter.rate_limits.service import HOUR_S, Policy
from stemsplitter.service_errors import NotFound
from stemsplitter.services import Services
from stemsplitter.sessions.service import SignedIn

COOKIE = "visitor"
METADATA = "visitor"  # key in the metadata of a visitor's job that holds the value of the cookie
MAX_VISITOR_BYTES = 100_000_000  # of a file
_VALUE = re.compile(r"[0-9a-f]{32}")
_COOKIE_LASTS = timedelta(days=1)


@dataclass(frozen=True)
class ToolUser:
    """Owner of the jobs of a tool: an account, or a visitor, whose jobs are in the account of all visitors.

    ``visitor`` is the value of the cookie, empty for an account.
    """

    account_id: str
    visitor: str = ""

    def check(self, metadata: Mapping[str, str]) -> None:
        """Check by the metadata of a visitor's job that it is of this visitor. Raises NotFound."""
        if self.visitor and metadata.get(METADATA) != self.visitor:
            raise NotFound("There is no such result: it has expired, or belongs to another browser.")

    def keep(self, request: Request, response: Response) -> Response:
        """Set the cookie of a visitor, with which the browser can see the result. Returns the response."""
        if self.visitor:
            set_cookie(response, request, self.visitor, name=COOKIE, lasts=_COOKIE_LASTS)
        return response


def is_open(services: Services, tool: Tool) -> bool:
    """True if visitors may use the tool without an account."""
    return tool.kind == "analyses" and services.settings.visitor_analyses_per_hour > 0


def count(request: Request, services: Services, what: str) -> None:
    """Count a visitor's request by the address. Raises RateLimited."""
    policy = Policy(f"{what} without an account", services.settings.visitor_analyses_per_hour, HOUR_S)
    services.rate_limits.check(client_network(request), policy)


def _tool(slug: str) -> Tool:
    """Return the tool of a page. Raises NotFound."""
    tool = find_tool(slug)
    if tool is None:
        raise NotFound("There is no page at this address.")
    return tool


ToolDep = Annotated[Tool, Depends(_tool)]


def _user(
    request: Request, services: ServicesDep, tool: ToolDep, _: Annotated[None, Depends(guard)]
) -> ToolUser:
    """Return who uses the tool.

    Raises:
        SignInRequired: there is no session, and the tool requires one.
    """
    signed_in: SignedIn | None = request.state.signed_in
    if signed_in is not None:
        return ToolUser(signed_in.account.id)
    if not is_open(services, tool):
        raise SignInRequired
    visitor = request.cookies.get(COOKIE, "")
    if not _VALUE.fullmatch(visitor):
        visitor = secrets.token_hex(16)
    return ToolUser(services.accounts.visitors(), visitor=visitor)


ToolUserDep = Annotated[ToolUser, Depends(_user)]
