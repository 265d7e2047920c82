"""``stemsplitter doctor``: checks of this machine, its models and the server settings."""

import logging
import platform
import shutil
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import typer

from stemsplitter.cli.output import AsJson, print_json
from stemsplitter.errors import ModelError, StemSplitterError
from stemsplitter.version import __version__

_log = logging.getLogger("stemsplitter")


@dataclass(frozen=True)
class Machine:
    """Hardware and software of this machine. ``gpu`` is text: the device, or the reason why there is none."""

    version: str
    python: str
    platform: str
    processor: str
    cores: int
    precisions: tuple[str, ...]
    runtime: str
    ffmpeg: str
    gpu: str
    models_in: str
    bytes_free: int


@dataclass(frozen=True)
class Speed:
    """Speed of a model in seconds of audio per second, or its problem. ``notes`` are sentences about the model."""

    model: str
    device: str
    times_real_time: float | None
    problem: str | None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Server:
    """Configuration that a server would start with, or the problem that prevents its start."""

    database: str
    storage: str
    layouts: tuple[str, ...]
    links: str
    problem: str | None


def doctor(
    as_json: AsJson = False,
) -> None:
    """Check this machine, measure the speed of each model, and check the server settings."""
    machine, server = _machine(), _server()
    if not as_json:
        _print_machine(machine)
        _print_server(server)
    speeds = []
    for model in _ready_models():
        speed = measure(model)
        speeds.append(speed)
        if not as_json:
            _print_line(model, speed.problem or f"{speed.times_real_time:.1f}× real time on {speed.device}")
            for note in (*speed.notes, *_precision(model)):
                _print_line("", note)
    if as_json:
        checks = {"server": asdict(server), "speeds": [asdict(speed) for speed in speeds]}
        print_json(asdict(machine) | checks)
    elif not speeds:
        print("No model is installed, not even the built-in one: reinstall stemsplitter.")
    if server.problem or any(speed.problem for speed in speeds):
        raise typer.Exit(1)


def measure(model: str) -> Speed:
    """Measure the speed of an installed model, and keep it if the store can be written."""
    from stemsplitter.catalogue.speeds import measure_speed, record_speed
    from stemsplitter.catalogue.store import ModelStore

    store = ModelStore()
    try:
        entry = store.entry(model)
        speed = measure_speed(entry, store)
    except Exception as error:  # any problem is a result
        _log.debug("cause:", exc_info=error)
        known = isinstance(error, StemSplitterError)
        problem = " ".join((str(error) if known else f"{type(error).__name__}: {error}").split())
        return Speed(model, "", None, problem)
    with suppress(ModelError):
        record_speed(entry, store, speed)
    return Speed(model, speed.device, speed.times_real_time, None, speed.notes)


def _precision(model: str) -> list[str]:
    """Return what is known about a model's precision on this machine, or how to find out."""
    from stemsplitter.catalogue.precision import needs_check, recorded_checks
    from stemsplitter.catalogue.store import ModelStore

    store = ModelStore()
    entry = next((entry for entry in store.entries() if entry.name == model), None)
    if entry is None or not needs_check(entry):
        return []
    checks = recorded_checks(entry, store)
    if not checks:
        return [f"precision not checked: run `stemsplitter models verify {model} --precision`"]
    return [f"precision on {hardware}: {check}" for hardware, check in checks.items()]


def _machine() -> Machine:
    import av
    import openvino as ov

    from stemsplitter.catalogue.store import ModelStore
    from stemsplitter.separation.runtimes import usable_cores
    from stemsplitter.separation.runtimes.openvino_core import computes_in_bf16, new_core

    core = new_core()
    root = ModelStore().root.absolute()
    existing = next(path for path in (root, *root.parents) if path.exists())
    return Machine(
        version=__version__,
        python=platform.python_version(),
        platform=platform.platform(),
        processor=str(core.get_property("CPU", "FULL_DEVICE_NAME")).strip(),
        cores=usable_cores(),
        precisions=("bf16", "fp32") if computes_in_bf16(core) else ("fp32",),
        runtime=f"OpenVINO {ov.__version__.partition('-')[0]}",
        ffmpeg=av.ffmpeg_version_info,
        gpu=_gpu(),
        models_in=str(root),
        bytes_free=shutil.disk_usage(existing).free,
    )


def _server() -> Server:
    from stemsplitter.catalogue.store import ModelStore
    from stemsplitter.database import Database
    from stemsplitter.links import Links
    from stemsplitter.migrations.upgrade import check_database
    from stemsplitter.settings import load_settings
    from stemsplitter.splits.model_selection import check_models, ready_layouts

    database_url = storage = links = ""
    layouts: tuple[str, ...] = ()
    try:
        settings, store = load_settings(), ModelStore()
        database = Database(settings.database)
        links = Links(settings).state()
        database_url, storage = str(database.engine.url), settings.storage
        layouts = tuple(ready_layouts(settings, store))
        check_models(settings, store)
        # the check must not create the database of a server that never ran
        if not database.is_sqlite or Path(database.engine.url.database or "").exists():
            check_database(database)
        database.close()
    except StemSplitterError as error:
        return Server(database_url, storage, layouts, links, " ".join(str(error).split()))
    return Server(database_url, storage, layouts, links, None)


def _gpu() -> str:
    try:
        import torch
    except ImportError:
        return "not checked: torch is not installed (pip install 'stemsplitter[torch]' to use a GPU)"
    from stemsplitter.separation.runtimes.torch import TorchRuntime, find_gpu

    found = find_gpu("auto")
    return TorchRuntime(found).device if found else f"none that torch {torch.__version__} can use"


def _ready_models() -> list[str]:
    from stemsplitter.catalogue.store import ModelStore

    store = ModelStore()
    return [entry.name for entry in store.entries() if store.is_ready(entry.name)]


def _print_server(server: Server) -> None:
    if server.problem:
        _print_line("server", server.problem)
        return
    provided = ", ".join(server.layouts) or "no layouts"
    _print_line("server", f"provides {provided}; database {server.database}, storage {server.storage}")
    _print_line("links", server.links)


def _print_machine(machine: Machine) -> None:
    _print_line("stemsplitter", f"{machine.version}, Python {machine.python}, {machine.platform}")
    cores = "1 core" if machine.cores == 1 else f"{machine.cores} cores"
    precisions = " or ".join(machine.precisions)
    _print_line("processor", f"{machine.processor}, {cores}, precision {precisions}")
    _print_line("runtime", f"{machine.runtime}, FFmpeg {machine.ffmpeg}")
    _print_line("gpu", machine.gpu)
    _print_line("models in", f"{machine.models_in} ({machine.bytes_free / 1e9:.0f} GB free)")


def _print_line(name: str, value: str) -> None:
    print(f"{name and name + ':':<14}{value}", flush=True)
