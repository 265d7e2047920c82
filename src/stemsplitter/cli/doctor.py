"""``stemsplitter doctor``: what this machine can run, and how fast."""

import json
import os
import platform
import shutil
from dataclasses import asdict, dataclass
from typing import Annotated

import typer

from stemsplitter import __version__
from stemsplitter.errors import StemSplitterError

SEGMENTS = 3  # a warm-up, then at least one for each stream


@dataclass(frozen=True)
class Speed:
    """How fast a model ran here, in seconds of audio per second, or why it did not."""

    model: str
    device: str
    times_real_time: float | None
    problem: str | None


def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")] = False,
) -> None:
    """Say what this machine can run and how fast, and what is missing."""
    facts = _facts()
    if not as_json:
        for name, value in facts.items():
            print(f"{name + ':':<14}{value}")
    speeds = []
    for model in _ready_models():
        speed = measure(model)
        speeds.append(speed)
        if not as_json:
            result = speed.problem or f"{speed.times_real_time:.1f}× real time on {speed.device}"
            print(f"{speed.model + ':':<14}{result}")
    if as_json:
        print(
            json.dumps({**facts, "speeds": [asdict(speed) for speed in speeds]}, ensure_ascii=False, indent=2)
        )
    elif not speeds:
        print("No model is here yet: run `stemsplitter models pull spleeter_2s`.")
    if any(speed.problem for speed in speeds):
        raise typer.Exit(1)


def measure(model: str) -> Speed:
    """Separate some noise with a model that is here."""
    import numpy as np

    from stemsplitter.separation import Separator

    try:
        separator = Separator(model)
        length = separator.segment * SEGMENTS / separator.sample_rate
        noise = np.random.default_rng(0).standard_normal((2, int(length * 44_100)), np.float32)
        separator.separate(noise[:, : noise.shape[1] // SEGMENTS])
        result = separator.separate(noise)
    except StemSplitterError as error:
        return Speed(model, "", None, str(error))
    return Speed(model, separator.device, round(result.speed, 2), None)


def _facts() -> dict[str, str]:
    import openvino as ov

    from stemsplitter.catalogue.store import ModelStore

    core = ov.Core()
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    bf16 = "BF16" in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    root = ModelStore().root
    existing = next(path for path in (root, *root.parents) if path.exists())
    return {
        "stemsplitter": f"{__version__}, Python {platform.python_version()}, {platform.platform()}",
        "processor": f"{str(core.get_property('CPU', 'FULL_DEVICE_NAME')).strip()}, {cores} cores usable, "
        f"computes in {'bf16 and fp32' if bf16 else 'fp32'}",
        "runtime": f"OpenVINO {ov.__version__}",
        "gpu": _gpu(),
        "models in": f"{root} ({shutil.disk_usage(existing).free / 1e9:.0f} GB free)",
    }


def _gpu() -> str:
    try:
        import torch
    except ImportError:
        return "not looked for: torch is not installed (pip install 'stemsplitter[torch]' to use one)"
    from stemsplitter.separation.runtimes.torch import TorchRuntime, find_gpu

    found = find_gpu("auto")
    return TorchRuntime(found).device if found else f"none that torch {torch.__version__} can use"


def _ready_models() -> list[str]:
    from stemsplitter.catalogue.store import ModelStore

    store = ModelStore()
    return [entry.name for entry in store.entries() if store.is_ready(entry.name)]
