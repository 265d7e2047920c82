"""``stemsplitter serve``: a whole server, API and workers, from one command."""

import logging
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Annotated

import typer

from stemsplitter.cli.service import DataDir

if TYPE_CHECKING:
    from stemsplitter.catalogue.entries import ModelEntry
    from stemsplitter.files.verified import Progress
    from stemsplitter.services import Services
    from stemsplitter.settings import Settings

START_SECONDS = 60.0

_log = logging.getLogger(__name__)


def serve(
    host: Annotated[str | None, typer.Option(metavar="ADDRESS", help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(metavar="PORT", help="Port to listen on.")] = None,
    data_dir: DataDir = None,
) -> None:
    """Run a server: API and workers. The first start makes an account and prints its API key.

    Every setting is in docs/settings.md.
    """
    from stemsplitter import logs
    from stemsplitter.migrations.upgrade import upgrade
    from stemsplitter.processes.api import check_port
    from stemsplitter.processes.supervisor import Supervisor
    from stemsplitter.services import Services
    from stemsplitter.settings import load_settings
    from stemsplitter.splits.model_selection import check_models

    settings = load_settings(host=host, port=port, data_dir=data_dir)
    logs.configure(settings.log_level)
    check_port(settings)  # before a key is made and shown because something else answers there
    services = Services(settings)
    upgrade(services.database)
    check_models(settings, services.models)
    _fetch_models(services)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda *_: stop.set())
    threading.Thread(target=_greet, args=(services, stop), daemon=True).start()
    Supervisor(settings.workers, _variables(host, port, data_dir)).run(stop)
    services.close()


def _fetch_models(services: "Services") -> None:
    """Fetch the models that are preferred and not here, as `split` does; a server starts without them, too."""
    from stemsplitter.catalogue.selection import Fetcher
    from stemsplitter.errors import ModelError
    from stemsplitter.splits.model_selection import wanted_models

    if not services.settings.workers:
        return
    fetcher = Fetcher(services.models, _fetching)
    for candidates in wanted_models(services.settings, services.models):
        with suppress(ModelError):
            fetcher.bring(candidates)
    for name, error in fetcher.failed.items():
        _log.warning(
            "the model %s cannot be had, and the server goes on without it: %s Once it is here, start again.",
            name,
            error,
        )


@contextmanager
def _fetching(entry: "ModelEntry") -> Iterator["Progress"]:
    from stemsplitter.cli.pull_progress import pull_progress

    print(f"Fetching the model {entry.name}, once …", file=sys.stderr)
    with pull_progress(entry.name) as progress:
        yield progress


def _greet(services: "Services", stop: threading.Event) -> None:
    """Wait until the API answers, and say so: a key that is shown once is made when it can be used."""
    from stemsplitter.processes.first_run import welcome

    url = _local_url(services.settings)
    end = time.monotonic() + START_SECONDS
    while not stop.wait(0.1) and time.monotonic() < end:
        if _answers(url):
            break
    if not stop.is_set():
        print(welcome(services), flush=True)


def _answers(url: str) -> bool:
    import httpx

    try:
        return httpx.get(f"{url}/healthz", timeout=2, trust_env=False).status_code == 200
    except httpx.HTTPError:
        return False


def _local_url(settings: "Settings") -> str:
    """Where this machine reaches the API, which may listen on all addresses."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(settings.host, settings.host)
    return f"http://[{host}]:{settings.port}" if ":" in host else f"http://{host}:{settings.port}"


def _variables(host: str | None, port: int | None, data_dir: object | None) -> dict[str, str]:
    """The command's options, as the settings of child processes."""
    from stemsplitter.settings import PREFIX

    given = {"HOST": host, "PORT": port, "DATA_DIR": data_dir}
    return {f"{PREFIX}{name}": str(value) for name, value in given.items() if value is not None}
