"""The command ``stemsplitter``: global options, subcommands, errors and signals."""

import io
import logging
import os
import sys
from typing import Annotated, NoReturn

import typer

from stemsplitter import stopping
from stemsplitter.cli import (
    accounts,
    analyze,
    credits,
    demo,
    doctor,
    effects,
    isolate,
    keys,
    links,
    maintenance,
    mcp,
    models,
    serve,
    speak,
    split,
    webhooks,
)
from stemsplitter.errors import RequestError, StemSplitterError, Stopped
from stemsplitter.version import __version__

EXIT_FAILED = 1
EXIT_INTERNAL = 70  # EX_SOFTWARE of sysexits.h
EXIT_STOPPED = stopping.EXIT_STOPPED

_log = logging.getLogger("stemsplitter")

# Rich formatting of help and usage errors takes 0.1 s and splits errors over several lines.
app = typer.Typer(
    name="stemsplitter", no_args_is_help=True, rich_markup_mode=None, pretty_exceptions_enable=False
)
app.command("split")(split.split)
app.command("analyze")(analyze.analyze)
app.command("pitch")(effects.pitch)
app.command("speed")(effects.speed)
app.command("slowed-reverb")(effects.slowed_reverb)
app.command("isolate-voice")(isolate.isolate_voice)
app.command("speak")(speak.speak)
app.command("mcp")(mcp.mcp)
app.add_typer(models.app, name="models")
app.add_typer(links.app, name="links")
app.command("doctor")(doctor.doctor)
app.command("serve")(serve.serve)
app.command("api")(serve.api)
app.command("worker")(serve.worker)
app.add_typer(accounts.app, name="accounts")
app.add_typer(keys.app, name="keys")
app.add_typer(credits.app, name="credits")
app.add_typer(webhooks.app, name="webhooks")
app.command("demo")(demo.demo)
app.command("migrate")(maintenance.migrate)
app.command("backup")(maintenance.backup)
app.command("restore")(maintenance.restore)


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"stemsplitter {__version__}")
        raise typer.Exit


@app.callback()
def options(
    verbose: Annotated[
        bool,
        typer.Option(
            "--verbose", "-v", help="Log details and the causes of errors (STEMSPLITTER_LOG=debug)."
        ),
    ] = False,
    offline: Annotated[
        bool, typer.Option("--offline", help="Never use the network (STEMSPLITTER_OFFLINE=1).")
    ] = False,
    version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit."),
    ] = False,
) -> None:
    """Separate songs into vocals, drums, bass, guitar, piano and other."""
    level = "debug" if verbose else os.environ.get("STEMSPLITTER_LOG", "warning")
    try:
        _log.setLevel(level.upper())
    except ValueError as error:
        raise RequestError(
            f"STEMSPLITTER_LOG is {level!r}: set it to debug, info, warning or error."
        ) from error
    logging.basicConfig(format="%(levelname)s %(name)s: %(message)s")
    if offline:
        os.environ["STEMSPLITTER_OFFLINE"] = "1"


def main() -> None:
    """Run the command with the arguments of the process, and exit.

    Exit codes: 0 success, 1 error (one line on standard error), 2 usage error, 70 internal error, 130 interrupted by
    Ctrl-C, SIGTERM or a closed terminal.
    """
    try:
        with stopping.watched():
            run()
    except KeyboardInterrupt:  # before the command began
        print("stopped", file=sys.stderr, flush=True)
        os._exit(EXIT_STOPPED)
    except SystemExit as error:
        if error.code == EXIT_STOPPED:
            sys.stdout.flush()
            os._exit(EXIT_STOPPED)  # does not wait for threads
        raise


def run() -> NoReturn:
    """Run the command. Raises SystemExit."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(
            errors="backslashreplace"
        )  # as standard error does, whatever the terminal can show
    try:
        app(prog_name="stemsplitter")
        raise SystemExit
    except SystemExit as error:
        if error.code == EXIT_STOPPED:
            print("stopped", file=sys.stderr)
        raise
    except KeyboardInterrupt:
        _fail("stopped", EXIT_STOPPED)
    except Stopped as error:
        _fail(f"stopped: {error}", EXIT_STOPPED, error)
    except StemSplitterError as error:
        _fail(f"error: {error}", EXIT_FAILED, error)
    except BrokenPipeError:
        # the reader is gone: discard what Python would still write at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(EXIT_FAILED) from None
    except Exception as error:
        _fail(
            f"error: internal error ({type(error).__name__}): run `stemsplitter --verbose …` again and report "
            "the output.",
            EXIT_INTERNAL,
            error,
        )


def _fail(line: str, code: int, error: Exception | None = None) -> NoReturn:
    print(" ".join(line.split()), file=sys.stderr)
    if error is not None:
        _log.debug("cause:", exc_info=error)
    raise SystemExit(code)
