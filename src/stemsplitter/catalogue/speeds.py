"""The speed of models on this machine: measured when a model is installed, and kept with its weights.

A model separates a short synthetic song, transforms, overlap-add and resampling included, decoding and encoding not.
The record of a model names the processor, the number of cores and the device; measure again after a change of
anything else, such as the GPU (``stemsplitter models verify --speed``).
"""

import platform
import time
from contextlib import closing, suppress
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from stemsplitter.catalogue.entries import ModelEntry
from stemsplitter.catalogue.records import add_record, read_records
from stemsplitter.catalogue.store import ModelStore
from stemsplitter.version import __version__

if TYPE_CHECKING:
    from stemsplitter.separation.chain import Chain
    from stemsplitter.separation.model import SegmentModel

SEGMENTS: Final = 2  # of each thread that separates; the first allocates memory
_RECORDS: Final = "speed.json"
_GPUS: Final = ("cuda", "mps")


@dataclass(frozen=True)
class MeasuredSpeed:
    """The speed of a model.

    Attributes:
        times_real_time: seconds of audio separated in a second.
        device: name of the device.
        notes: sentences about the loaded model that users should read.
    """

    times_real_time: float
    device: str
    notes: tuple[str, ...] = ()


def measure_speed(entry: ModelEntry, store: ModelStore, device: str = "auto") -> MeasuredSpeed:
    """Measure the speed of an installed model, with ``auto`` precision and all cores.

    Raises:
        RequestError: the device is not available.
        ModelError: the weights are missing or damaged.
    """
    from stemsplitter.catalogue.opening import open_model
    from stemsplitter.catalogue.precision import synthetic_song
    from stemsplitter.separation.chain import Chain

    model = open_model(entry, store, device, "auto", None)
    first = model.first if isinstance(model, Chain) else model
    count = SEGMENTS * first.concurrency
    border = first.segment - first.hop if first.reflect else 0
    song = synthetic_song(count * first.hop - border, first.sample_rate)
    began = time.perf_counter()
    _separate(model, song)
    # a longer song has a segment for each hop, without those of the borders
    factor = count * first.hop / first.sample_rate / (time.perf_counter() - began)
    return MeasuredSpeed(round(factor, 2), model.device, model.notes)


def record_speed(entry: ModelEntry, store: ModelStore, speed: MeasuredSpeed) -> None:
    """Keep a measurement; ModelError if it cannot be written."""
    record = {
        "times_real_time": speed.times_real_time,
        "device": speed.device,
        "of": _identity(entry, store),
    }
    add_record(entry, store, _RECORDS, _key(_kind(speed.device)), record)


def recorded_speed(entry: ModelEntry, store: ModelStore, device: str = "auto") -> float | None:
    """Return the seconds of audio that a model separates in a second on a device of this machine, if it was measured.

    ``auto`` is a GPU, if the model was measured on one and torch is installed, else the CPU.
    """
    records = read_records(entry, store, _RECORDS)
    gpus = _GPUS if _has_torch() else ()
    for kind in (*gpus, "cpu") if device == "auto" else (_kind(device),):
        record = records.get(_key(kind))
        if isinstance(record, dict) and record.get("of") == _identity(entry, store):
            factor = record.get("times_real_time")
            return factor if isinstance(factor, int | float) and factor > 0 else None
    return None


def _separate(model: "SegmentModel | Chain", song: Any) -> None:
    from stemsplitter.separation.chain import Chain, separate_chain
    from stemsplitter.separation.pipeline import separate_stream

    blocks = (
        song[:, start : start + model.sample_rate] for start in range(0, song.shape[1], model.sample_rate)
    )
    if isinstance(model, Chain):
        stream = separate_chain(model, blocks, model.sample_rate, 2)
    else:
        stream = separate_stream(model, blocks, model.sample_rate, 2)
    with closing(stream) as pieces:
        for _ in pieces:
            pass


def _identity(entry: ModelEntry, store: ModelStore) -> str:
    """Return a text that changes with the weights of all models in use and with the version of the program."""
    from stemsplitter.catalogue.opening import models_used

    sums = [weight.sha256[:16] for used in models_used(entry, store) for weight in used.weights]
    return " ".join((__version__, *sums))


def _kind(device: str) -> str:
    """Return ``cpu``, ``cuda`` or ``mps`` of the name of a device."""
    return device.partition(" ")[0].partition(":")[0]


def _key(kind: str) -> str:
    from stemsplitter.separation.runtimes import usable_cores  # needs NumPy, which the command imports late

    return f"{kind}: {_processor()}, {usable_cores()} cores"


@cache
def _processor() -> str:
    """Return the name of the processor, without loading a runtime."""
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines():
            name, _, value = line.partition(":")
            if name.strip() == "model name":
                return value.strip()
    return platform.processor() or platform.machine()


@cache
def _has_torch() -> bool:
    return find_spec("torch") is not None
