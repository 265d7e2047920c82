"""``stemsplitter mcp``: tools for assistants, over the Model Context Protocol."""

import os
import secrets
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stemsplitter.cli.output import print_message
from stemsplitter.errors import RequestError

if TYPE_CHECKING:
    from stemsplitter.mcp_server.local import Local
    from stemsplitter.mcp_server.remote import Remote

HOST = "127.0.0.1"
KEY, TOKEN = "STEMSPLITTER_KEY", "STEMSPLITTER_MCP_TOKEN"
_SHORTEST_TOKEN = 16


def mcp(
    folders: Annotated[
        list[Path], typer.Argument(metavar="FOLDER…", help="Folders of songs that the assistant may use.")
    ],
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", metavar="DIR", help="Folder of the results. Default: stems in the first folder."
        ),
    ] = None,
    url: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            envvar="STEMSPLITTER_URL",
            help=f"Use this server with the API key in {KEY}. Default: this machine.",
        ),
    ] = None,
    http: Annotated[
        bool, typer.Option("--http", help="Serve HTTP on loopback instead of standard input and output.")
    ] = False,
    port: Annotated[int, typer.Option(metavar="PORT", min=1, max=65535, help="Of --http.")] = 8765,
) -> None:
    """Serve tools to an assistant: split, analyze and transform songs, with the Model Context Protocol."""
    try:
        from stemsplitter.mcp_server.server import http_app, make_server
    except ImportError as error:
        raise RequestError(
            f"The package {error.name} is not installed: run `pip install 'stemsplitter[mcp]'`."
        ) from error
    from stemsplitter.mcp_server.folders import Folders
    from stemsplitter.mcp_server.jobs import Jobs

    token = _token() if http else ""
    allowed, backend = Folders(folders, output), _backend(url)
    with Jobs(backend.concurrent) as jobs:
        server = make_server(backend, allowed, jobs)
        if http:
            _serve(http_app(server, token), port, token)
        else:
            server.run("stdio")


def _backend(url: str | None) -> "Local | Remote":
    if url is None:
        from stemsplitter.mcp_server.local import Local

        return Local()
    try:
        from stemsplitter.mcp_server.remote import Remote
    except ImportError as error:
        raise RequestError(
            "The client library is not installed: run `pip install stemsplitter-client`."
        ) from error

    return Remote(os.environ.get(KEY, ""), url)


def _token() -> str:
    token = os.environ.get(TOKEN) or secrets.token_urlsafe(24)
    if len(token) < _SHORTEST_TOKEN:
        raise RequestError(f"{TOKEN} is too short: use at least {_SHORTEST_TOKEN} characters.")
    return token


def _serve(app: Any, port: int, token: str) -> None:
    import uvicorn

    shown = f"the value of {TOKEN}" if TOKEN in os.environ else token
    print_message(f"http://{HOST}:{port}/mcp, header Authorization: Bearer {shown}")
    uvicorn.run(app, host=HOST, port=port, log_level="warning")
