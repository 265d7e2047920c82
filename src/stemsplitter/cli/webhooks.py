"""``stemsplitter webhooks``: tools for developers of webhook receivers."""

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from stemsplitter.errors import RequestError

SECRET_VARIABLE = "STEMSPLITTER_WEBHOOK_SECRET"

app = typer.Typer(help="Verify webhook deliveries.", no_args_is_help=True, rich_markup_mode=None)


@app.callback()
def webhooks() -> None:
    """Verify webhook deliveries."""


@app.command()
def verify(
    body: Annotated[
        str,
        typer.Argument(
            metavar="BODY",
            help="File with the exact body as received; - reads standard input.",
        ),
    ] = "-",
    header: Annotated[
        list[str] | None,
        typer.Option(
            "--header",
            "-H",
            metavar="'NAME: VALUE'",
            help="Header of the delivery. Repeat for each webhook-* header and AIStemSplitter-Signature.",
        ),
    ] = None,
    secret: Annotated[
        str,
        typer.Option(
            "--secret",
            envvar=SECRET_VARIABLE,
            help="Signing secret, whsec_…. Prefer the variable, which process lists do not show.",
        ),
    ] = "",
    tolerance: Annotated[
        float, typer.Option("--tolerance", min=0, metavar="SECONDS", help="Maximum age of a delivery.")
    ] = 300,
) -> None:
    """Verify the signature of a delivery. The exit code is 0 if it is valid, 1 if not."""
    from stemsplitter.webhooks.signatures import InvalidSignature, verify

    if not secret:
        raise RequestError(f"The secret is missing: set {SECRET_VARIABLE} or use --secret.")
    headers = _parse(header or [])
    try:
        found = verify(_read(body), headers, secret, datetime.now(UTC), tolerance)
    except InvalidSignature as error:
        print(f"invalid: {error}")
        raise typer.Exit(1) from error
    print(f"valid: {' and '.join(found)}")


def _parse(lines: list[str]) -> dict[str, str]:
    headers = {}
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon or not name.strip():
            raise RequestError(f"The header {line!r} has no name: write it as 'NAME: VALUE'.")
        headers[name.strip()] = value.strip()
    return headers


def _read(path: str) -> bytes:
    try:
        return sys.stdin.buffer.read() if path == "-" else Path(path).read_bytes()
    except OSError as error:
        raise RequestError(f"The body cannot be read from {path}: {error.strerror}.") from error
