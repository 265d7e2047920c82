"""``stemsplitter serve``, ``api`` and ``worker``: the processes of a server."""

import logging
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Annotated

import typer

from stemsplitter.cli import completion
from stemsplitter.cli.admin import DataDir
from stemsplitter.cli.output import print_message
from stemsplitter.cli.progress import download_progress

if TYPE_CHECKING:
    from stemsplitter.catalogue.entries import ModelEntry
    from stemsplitter.files.verified import Progress
    from stemsplitter.services import Services
    from stemsplitter.settings import Settings

Host = Annotated[str | None, typer.Option(metavar="ADDRESS", help="Address to listen on.")]
Port = Annotated[int | None, typer.Option(metavar="PORT", help="Port to listen on.")]

START_SECONDS = 60.0

_log = logging.getLogger(__name__)


def serve(
    host: Host = None,
    port: Port = None,
    data_dir: DataDir = None,
) -> None:
    """Run a server: API and workers. The first start creates an account and prints its API key.

    All settings are in docs/settings.md.
    """
    from stemsplitter import logs, stopping
    from stemsplitter.migrations.upgrade import upgrade
    from stemsplitter.processes.port import check_port
    from stemsplitter.processes.supervisor import Supervisor
    from stemsplitter.services import Services
    from stemsplitter.settings import load_settings
    from stemsplitter.splits.model_selection import check_models

    settings = load_settings(host=host, port=port, data_dir=data_dir)
    logs.configure(settings.log_level)
    check_port(settings)  # a key must not be printed if another server answers at the port
    services = Services(settings)
    services.protect_files()
    upgrade(services.database)
    check_models(settings, services.models)
    _fetch_models(services)
    stop = threading.Event()
    for number in stopping.SIGNALS:
        signal.signal(number, lambda *_: stop.set())
    threading.Thread(target=_greet, args=(services, stop), daemon=True).start()
    Supervisor(settings.workers, _variables(host, port, data_dir)).run(stop)
    services.close()


def api(host: Host = None, port: Port = None, data_dir: DataDir = None) -> None:
    """Run the API without workers. All settings are in docs/settings.md."""
    from stemsplitter.processes import api
    from stemsplitter.settings import load_settings

    api.run(load_settings(host=host, port=port, data_dir=data_dir))


def worker(
    device: Annotated[
        str | None,
        typer.Option(
            metavar="DEVICE", autocompletion=completion.devices, help="auto, cpu, cuda, cuda:1 or mps."
        ),
    ] = None,
    concurrency: Annotated[
        int | None, typer.Option(metavar="N", help="Number of splits to process at once, 1 to 64.")
    ] = None,
    models: Annotated[
        str | None,
        typer.Option(
            metavar="NAMES",
            autocompletion=completion.models,
            help="Process splits of these models only, such as htdemucs,spleeter_2s. Default: all models.",
        ),
    ] = None,
    cluster: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS",
            help="Have the workers of this dask scheduler (tcp://HOST:8786, or a scheduler file) separate the songs.",
        ),
    ] = None,
    data_dir: DataDir = None,
) -> None:
    """Run a worker, which separates songs and delivers webhooks. All settings are in docs/settings.md."""
    from stemsplitter.processes import worker
    from stemsplitter.settings import load_settings

    settings = load_settings(data_dir=data_dir, device=device, concurrency=concurrency, worker_models=models)
    worker.run(settings, cluster)


def _fetch_models(services: "Services") -> None:
    """Download missing models that are preferred, as `split` does. The server starts without them if that fails."""
    from stemsplitter.catalogue.selection import ModelDownloader
    from stemsplitter.errors import ModelError
    from stemsplitter.splits.model_selection import wanted_models

    if not services.settings.workers:
        return
    downloader = ModelDownloader(services.models, _fetching)
    for candidates in wanted_models(services.settings, services.models):
        with suppress(ModelError):
            downloader.first_available(candidates)
    for name, error in downloader.failed.items():
        _log.warning(
            "the model %s cannot be downloaded; the server starts without it: %s Restart after installing it.",
            name,
            error,
        )


@contextmanager
def _fetching(entry: "ModelEntry") -> Iterator["Progress"]:
    print_message(f"Downloading the model {entry.name} …")
    with download_progress(entry.name) as progress:
        yield progress


def _greet(services: "Services", stop: threading.Event) -> None:
    """Print the startup message when the API responds: the key in it is shown once and must be usable."""
    from stemsplitter.processes.first_run import startup_message

    url = _local_url(services.settings)
    end = time.monotonic() + START_SECONDS
    while not stop.wait(0.1) and time.monotonic() < end:
        if _answers(url):
            break
    if not stop.is_set():
        print(startup_message(services), flush=True)


def _answers(url: str) -> bool:
    import httpx

    try:
        return httpx.get(f"{url}/healthz", timeout=2, trust_env=False).status_code == 200
    except httpx.HTTPError:
        return False


def _local_url(settings: "Settings") -> str:
    """Return the local URL of the API, which can listen on all addresses."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(settings.host, settings.host)
    return f"http://[{host}]:{settings.port}" if ":" in host else f"http://{host}:{settings.port}"


def _variables(host: str | None, port: int | None, data_dir: object | None) -> dict[str, str]:
    """Return the options as environment variables for child processes."""
    from stemsplitter.settings import PREFIX

    given = {"HOST": host, "PORT": port, "DATA_DIR": data_dir}
    return {f"{PREFIX}{name}": str(value) for name, value in given.items() if value is not None}
