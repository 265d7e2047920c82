"""``python -m benchmarks.gpu``: speed of batches on a GPU, with segments of one song and of several songs.

Uses HTDemucs with random weights by default (requires demucs), an installed model, or with ``--networks`` SCNet and the
RoFormers with random weights (requires msst), in one table. Nothing is decoded or encoded.
"""

import argparse
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.checkpoints import SIGNATURE, random_checkpoint
from benchmarks.networks import our_model
from benchmarks.parity import snr
from benchmarks.peers.msst import NETWORKS, build
from stemsplitter.catalogue.loading import load_model
from stemsplitter.catalogue.store import ModelStore
from stemsplitter.errors import RequestError
from stemsplitter.separation.model import SegmentModel
from stemsplitter.separation.pipeline import separate_stream
from stemsplitter.separation.runtimes import Describe, Network
from stemsplitter.separation.runtimes.torch import MAX_BATCH, TorchRuntime, find_gpu

BATCHES = range(1, MAX_BATCH + 1)
SONGS = (1, 2, 4, 8)
Arrays = list[NDArray[np.float32]]


class RecordingRuntime(TorchRuntime):
    """Runtime that records its networks, with example inputs, and the sizes of its batches."""

    def __init__(self, device: str, precision: str, batch: int) -> None:
        super().__init__(device, precision, batch)
        self.networks: list[tuple[Network, Arrays]] = []
        self.sizes: list[int] = []

    def compile(
        self, network: Callable[[], Describe], inputs: Mapping[str, tuple[int, ...]], cache: Path
    ) -> Network:
        made = super().compile(network, inputs, cache)
        random = np.random.default_rng(0)
        self.networks.append((made, [random.random(shape, np.float32) for shape in inputs.values()]))
        return made

    def _join(self, examples: Sequence[NDArray[Any]]) -> Any:
        self.sizes.append(len(examples))
        return super()._join(examples)


def calls_per_second(call: Callable[[], object], threads: int, seconds: float) -> float:
    """Measure calls per second from ``threads`` threads."""
    counts = [0] * threads
    began = time.perf_counter()

    def repeat(index: int) -> None:
        while time.perf_counter() - began < seconds:
            call()
            counts[index] += 1

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(repeat, range(threads)))
    return sum(counts) / (time.perf_counter() - began)


def by_batch(make: Callable[[int], tuple[SegmentModel, RecordingRuntime]], seconds: float) -> None:
    """Measure and print the speed with batches of up to 1, 2, … segments."""
    print("| segments per batch | networks, × real time | with transforms, × real time | peak MB |")
    print("|---|---|---|---|")
    for batch in BATCHES:
        model, runtime = make(batch)
        audio = model.hop / model.sample_rate
        segment = _noise(model.segment)
        model.separate(segment)

        def networks(runtime: RecordingRuntime = runtime) -> None:
            for network, inputs in runtime.networks:
                network(*inputs)

        bare = calls_per_second(networks, 2 * batch, seconds) * audio  # the next batch is always full
        whole = calls_per_second(partial(model.separate, segment), 2 * batch, seconds) * audio
        print(f"| {batch} | {bare:.1f} | {whole:.1f} | {_peak_mb(runtime)} |", flush=True)


def by_network(names: Sequence[str], device: str, precision: str, seconds: float) -> None:
    """Measure and print the speed of networks in the largest batches and alone, each for ``seconds``."""
    print("| network | segments per batch | with transforms, × real time | SNR to fp32, dB | peak MB |")
    print("|---|---|---|---|---|")
    for name in names:
        with tempfile.TemporaryDirectory() as folder:
            peer = build(name)
            exact = our_model(name, peer, Path(folder), TorchRuntime(device, "fp32", 1))
            segment = _noise(exact.segment)
            expected = exact.separate(segment).copy()
            del exact
            for batch in (1, MAX_BATCH):
                runtime = TorchRuntime(device, precision, batch)
                model = our_model(name, peer, Path(folder), runtime)
                _peak_mb(runtime)  # from here on
                distance = snr(expected, model.separate(segment))
                rate = calls_per_second(partial(model.separate, segment), 2 * batch, seconds)
                speed = rate * model.hop / model.sample_rate
                print(
                    f"| {name} | {batch} | {speed:.1f} | {distance:.1f} | {_peak_mb(runtime)} |", flush=True
                )


def by_songs(model: SegmentModel, runtime: RecordingRuntime, seconds: float) -> None:
    """Measure and print the total speed of several concurrent songs."""
    rate = model.sample_rate
    song = _noise(round(seconds * rate))
    print("\n| concurrent songs | total, × real time | mean segments per batch |")
    print("|---|---|---|")
    for count in SONGS:
        start = threading.Barrier(count)

        def separate(_: int, start: threading.Barrier = start) -> None:
            start.wait()
            for _piece in separate_stream(model, [song], rate, 2):
                pass

        runtime.sizes.clear()
        began = time.perf_counter()
        with ThreadPoolExecutor(count) as pool:
            list(pool.map(separate, range(count)))
        wall = time.perf_counter() - began
        print(f"| {count} | {count * seconds / wall:.1f} | {np.mean(runtime.sizes):.1f} |", flush=True)


def _noise(samples: int) -> NDArray[np.float32]:
    return np.random.default_rng(0).standard_normal((2, samples), np.float32) * np.float32(0.1)


def _peak_mb(runtime: TorchRuntime) -> str:
    import torch

    if runtime.device.startswith("cuda"):
        peak = torch.cuda.max_memory_allocated() / 1e6
        torch.cuda.reset_peak_memory_stats()
        return f"{peak:.0f}"
    return ""


def main() -> None:
    """Run the benchmark and print two tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", help="an installed model (default: HTDemucs with random weights)")
    parser.add_argument("--networks", nargs="+", choices=NETWORKS, help="those of benchmarks.peers.msst")
    parser.add_argument("--device", default="cuda", help="cpu: try the program without a GPU")
    parser.add_argument("--precision", default="auto")
    parser.add_argument(
        "--seconds", type=float, default=10, help="duration of the measurement of each batch size"
    )
    parser.add_argument("--song", type=float, default=180, help="length of the songs in seconds")
    parser.add_argument("--folder", type=Path, default=Path("build/benchmarks"))
    options = parser.parse_args()
    try:
        device = "cpu" if options.device == "cpu" else find_gpu(options.device)
    except RequestError as error:
        raise SystemExit(f"error: {error}") from None
    if device is None:
        raise SystemExit("error: torch finds no GPU: run this on a machine with one.")
    if options.networks:
        print(f"{TorchRuntime(device, options.precision).device}\n")
        by_network(options.networks, device, options.precision, options.seconds)
        return
    store = ModelStore()
    if options.model is None:
        store = ModelStore(options.folder / "store" / "models")
        if SIGNATURE not in [entry.name for entry in store.entries()]:
            store.add(SIGNATURE, random_checkpoint(options.folder / "weights"))
    entry = store.entry(options.model or SIGNATURE)

    def make(batch: int) -> tuple[SegmentModel, RecordingRuntime]:
        runtime = RecordingRuntime(device, options.precision, batch)
        return load_model(entry, store, runtime), runtime

    model, runtime = make(MAX_BATCH)
    print(f"{entry.name} on {runtime.device}\n")
    by_batch(make, options.seconds)
    by_songs(model, runtime, options.song)


if __name__ == "__main__":
    main()
