"""The precision that a model is known to be exact enough in on this machine.

Half precision is several times as fast on some processors and GPUs, but harms some networks. So the newer networks use
it only after a comparison: the model separates a short synthetic song in single precision and in the faster ones. A
precision is used if each stem has an SNR of at least ``MIN_SNR_DB`` and no stem's share of the energy changes by more
than ``MAX_SHARE_DB``. If none is exact enough, bf16 is compared again with up to ``MAX_FP32_LAYERS`` layers of the
network in single precision. The result is kept with the weights.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Final

from stemsplitter.catalogue.entries import ModelEntry
from stemsplitter.catalogue.loading import load_model
from stemsplitter.catalogue.records import add_record, read_records
from stemsplitter.catalogue.store import ModelStore
from stemsplitter.separation.architectures import ARCHITECTURES
from stemsplitter.version import __version__

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from stemsplitter.separation.runtimes import Runtime

MIN_SNR_DB: Final = 35.0
MAX_SHARE_DB: Final = 0.1
MAX_FP32_LAYERS: Final = 2
_RECORDS: Final = "precision.json"


@dataclass(frozen=True)
class PrecisionCheck:
    """The result of a comparison.

    Attributes:
        precision: the fastest precision that is exact enough.
        compared: the fastest precision that was compared; empty if the hardware has only single precision.
        snr_db: SNR of each stem in that precision.
        share_db: change of each stem's share of the energy in that precision.
        fp32_layers: names of the layers that are computed in single precision in any case.
    """

    precision: str
    compared: str = ""
    snr_db: Mapping[str, float] = field(default_factory=dict)
    share_db: Mapping[str, float] = field(default_factory=dict)
    fp32_layers: tuple[str, ...] = ()

    def __str__(self) -> str:
        if not self.compared:
            return f"{self.precision}, the only precision here"
        worst = min(self.snr_db.values())
        share = max(map(abs, self.share_db.values()))
        layers = f" with {' and '.join(self.fp32_layers)} in fp32" if self.fp32_layers else ""
        return f"{self.precision}{layers} ({self.compared}: {worst:.0f} dB from fp32, energy within {share:.2f} dB)"


def needs_check(entry: ModelEntry) -> bool:
    """Return True if the model uses half precision only after a comparison."""
    architecture = ARCHITECTURES.get(entry.architecture)
    return architecture is not None and bool(architecture.layers)


def recorded_checks(entry: ModelEntry, store: ModelStore) -> dict[str, PrecisionCheck]:
    """Return the results of the last comparisons of these weights by this version, by the name of the hardware."""
    checks = {}
    for hardware, record in read_records(entry, store, _RECORDS).items():
        if isinstance(record, dict) and record.pop("of", None) == _identity(entry):
            with suppress(TypeError):
                layers = tuple(record.pop("fp32_layers", ()))
                checks[hardware] = PrecisionCheck(**record, fp32_layers=layers)
    return checks


def open_checked_runtime(
    entry: ModelEntry, store: ModelStore, device: str, precision: str, threads: int | None
) -> "Runtime":
    """Open the runtime for a model; ``auto`` is half precision only where the model is known to be exact in it."""
    from stemsplitter.separation.runtimes import open_runtime

    if precision != "auto" or not needs_check(entry):
        return open_runtime(device, precision, threads)
    runtime = open_runtime(device, "fp32", threads)
    check = recorded_checks(entry, store).get(runtime.hardware)
    if check is None or check.precision == "fp32":
        return runtime
    return open_runtime(device, check.precision, threads, check.fp32_layers)


def check_precision(entry: ModelEntry, store: ModelStore, device: str = "auto") -> PrecisionCheck:
    """Compare the precisions of this machine, fastest first, and keep the result.

    Raises:
        ModelError: the weights are missing or damaged, or the result cannot be written.
    """
    from stemsplitter.separation.runtimes import open_runtime

    exact_runtime = open_runtime(device, "fp32")
    check = PrecisionCheck("fp32")
    if exact_runtime.faster:
        model = load_model(entry, store, exact_runtime)
        song = synthetic_song(model.segment, model.sample_rate)
        exact = model.separate(song).copy()
        del model

        def compare(precision: str, layers: tuple[str, ...] = ()) -> PrecisionCheck:
            runtime = open_runtime(device, precision, None, layers)
            fast = load_model(entry, store, runtime).separate(song)
            return _compare(entry, exact, fast, precision, layers)

        check = _fastest(compare, exact_runtime.faster, ARCHITECTURES[entry.architecture].layers)
    record = {**asdict(check), "of": _identity(entry)}
    add_record(entry, store, _RECORDS, exact_runtime.hardware, record)
    return check


def _fastest(
    compare: Callable[..., PrecisionCheck], precisions: Sequence[str], layers: Sequence[str]
) -> PrecisionCheck:
    """Return the first comparison that is exact enough, or that of the first precision."""
    first = None
    for precision in precisions:
        check = compare(precision)
        first = first or check
        if check.precision != "fp32":
            return check
    assert first is not None  # there is a precision
    chosen: tuple[str, ...] = ()
    while "bf16" in precisions and len(chosen) < MAX_FP32_LAYERS:
        best = None
        for layer in (name for name in layers if name not in chosen):
            check = compare("bf16", (*chosen, layer))
            if check.precision != "fp32":
                return check
            if best is None or min(check.snr_db.values()) > min(best.snr_db.values()):
                best = check
        if best is None:
            break
        chosen = best.fp32_layers
    return first


def _compare(
    entry: ModelEntry,
    exact: "NDArray[np.float32]",
    fast: "NDArray[np.float32]",
    precision: str,
    layers: tuple[str, ...],
) -> PrecisionCheck:
    """Compare stems ``[S, 2, n]`` in single and in another precision."""
    import numpy as np

    def energy(stems: Any) -> Any:
        return np.square(stems, dtype=np.float64).sum(axis=(1, 2)) + 1e-20

    noise = energy(fast - exact)
    shares = [energy(stems) / energy(stems).sum() for stems in (exact, fast)]
    snr = dict(zip(entry.stems, (10 * np.log10(energy(exact) / noise)).round(2).tolist(), strict=True))
    change = dict(zip(entry.stems, (10 * np.log10(shares[1] / shares[0])).round(3).tolist(), strict=True))
    good = bool(np.isfinite(fast).all()) and min(snr.values()) >= MIN_SNR_DB
    good = good and max(map(abs, change.values())) <= MAX_SHARE_DB
    return PrecisionCheck(precision if good else "fp32", precision, snr, change, layers)


def synthetic_song(length: int, rate: int) -> "NDArray[np.float32]":
    """Synthesize bass, chords, a melody with vibrato, and drums: stereo, ``[2, length]``, with a peak of 0.5."""
    import numpy as np

    random = np.random.default_rng(0)
    time = np.arange(length) / rate
    beat = time % 0.5
    left, right = random.standard_normal((2, length)) * np.exp(-40 * beat) * 0.4
    kick = np.sin(2 * np.pi * 60 * beat) * np.exp(-12 * beat)
    tones = np.zeros((2, length))
    for number, pitch in enumerate((55.0, 220.0, 277.2, 329.6, 440.0)):
        vibrato = 0.02 * np.sin(2 * np.pi * 5.5 * time) if pitch == 440 else 0
        for partial in range(1, 9):
            wave = np.sin(2 * np.pi * pitch * partial * time + vibrato * partial * 8) / partial
            tones += np.outer((0.3 + 0.1 * number, 0.7 - 0.1 * number), wave * np.exp(-beat))
    song = tones + kick + np.stack([left, right])
    scaled: NDArray[np.float32] = (song * (0.5 / np.abs(song).max())).astype(np.float32)
    return scaled


def _identity(entry: ModelEntry) -> str:
    """Return a text that changes with the weights and with the version of the program."""
    return " ".join((__version__, *(weight.sha256[:16] for weight in entry.weights)))
