"""``stemsplitter webhooks``: what the developer of a receiver needs at hand."""

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from stemsplitter.errors import RequestError

SECRET_VARIABLE = "STEMSPLITTER_WEBHOOK_SECRET"

app = typer.Typer(help="Check signed deliveries.", no_args_is_help=True, rich_markup_mode=None)


@app.callback()
def webhooks() -> None:
    """Check signed deliveries."""


@app.command()
def verify(
    body: Annotated[
        str,
        typer.Argument(
            metavar="BODY",
            help="File with the body, byte for byte as received; - reads it from standard input.",
        ),
    ] = "-",
    header: Annotated[
        list[str] | None,
        typer.Option(
            "--header",
            "-H",
            metavar="'NAME: VALUE'",
            help="A header of the delivery; give each that begins with webhook- and AIStemSplitter-Signature.",
        ),
    ] = None,
    secret: Annotated[
        str,
        typer.Option(
            "--secret",
            envvar=SECRET_VARIABLE,
            help="The signing secret as it was shown, whsec_…; better in the variable, which no process list shows.",
        ),
    ] = "",
    tolerance: Annotated[
        float, typer.Option("--tolerance", min=0, metavar="SECONDS", help="How old a delivery may be.")
    ] = 300,
) -> None:
    """Say whether a delivery is signed with the secret, and if not, why. Exit code 0 valid, 1 invalid."""
    from stemsplitter.webhooks.signatures import InvalidSignature, verify

    if not secret:
        raise RequestError(f"There is no secret: set {SECRET_VARIABLE} to it, or give --secret.")
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
