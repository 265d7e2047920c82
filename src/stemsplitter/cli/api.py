"""``stemsplitter api``: the HTTP side of a server, without workers."""

from typing import Annotated

import typer

from stemsplitter.cli.service import DataDir


def api(
    host: Annotated[str | None, typer.Option(metavar="ADDRESS", help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(metavar="PORT", help="Port to listen on.")] = None,
    data_dir: DataDir = None,
) -> None:
    """Answer requests; workers are started apart. Every setting is in docs/settings.md."""
    from stemsplitter.processes import api as server
    from stemsplitter.settings import load_settings

    server.run(load_settings(host=host, port=port, data_dir=data_dir))
