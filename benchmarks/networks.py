"""``python -m benchmarks.networks NAME …``: processor seconds of SCNet and the RoFormers beside msst's torch networks.

Both separate the same 8 s with the same random weights, transforms included, on two threads in single precision,
alternating. Needs .venv-torch. Prints the medians of both, the median of the ratios, and the SNR to msst's result; then
the operations of the network, and the ratio if all of them ran at the rate of a large matrix product, which is measured
in the same rounds.
"""

import argparse
import resource
import statistics
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.operations import CountingRuntime, large_product
from benchmarks.parity import snr
from benchmarks.peers.msst import NETWORKS, build
from stemsplitter.separation.architectures import ARCHITECTURES, ModelFiles
from stemsplitter.separation.architectures.msst import SAMPLE_RATE
from stemsplitter.separation.model import SegmentModel
from stemsplitter.separation.runtimes import Runtime

SEGMENT = 352_800
THREADS = 2
PRODUCTS = 40  # in a round: some processor seconds
_SETTINGS = ("band_SR", "band_stride", "stft_hop_length")


def our_model(name: str, peer: Any, folder: Path, runtime: Runtime, segment: int = SEGMENT) -> SegmentModel:
    """Load a network with the weights of its peer on a runtime."""
    import torch

    kind, arguments = NETWORKS[name]
    path = folder / f"{name}.ckpt"
    torch.save(peer.state_dict(), path)
    outputs = len(arguments.get("sources", "dbov")) if kind == "scnet" else arguments.get("num_stems", 1)
    settings = {key: value for key, value in arguments.items() if key in _SETTINGS}
    settings |= {"segment": segment, "heads": list(range(outputs))}
    stems = tuple(f"stem {number}" for number in range(outputs))
    files = ModelFiles([path], folder, stems, settings)
    architecture = ARCHITECTURES["scnet" if kind == "scnet" else "roformer"]
    return architecture.load(runtime, files, None)


def processor_seconds(call: Callable[[], object]) -> float:
    """Return the processor time of all threads during a call."""
    before = resource.getrusage(resource.RUSAGE_SELF)
    call()
    after = resource.getrusage(resource.RUSAGE_SELF)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def compare(name: str, rounds: int, precision: str, segment: int, threads: int) -> str:
    """Time both networks ``rounds`` times, after one run of each, and return lines of the table."""
    import torch

    torch.set_num_threads(threads)
    peer = build(name)
    mixture = np.random.default_rng(0).standard_normal((2, segment)).astype(np.float32) / 8
    product, product_operations = large_product(threads)
    runtime = CountingRuntime(precision, threads)
    with tempfile.TemporaryDirectory() as folder:
        ours = our_model(name, peer, Path(folder), runtime, segment)

        def run_peer() -> NDArray[np.float32]:
            with torch.inference_mode():
                stems: NDArray[np.float32] = peer(torch.from_numpy(mixture)[None])[0].numpy()
            return stems

        def multiply() -> None:
            for _ in range(PRODUCTS):
                product()

        distance = float("nan")
        product()
        separated = ours.separate(mixture)  # the first run of a thread allocates its memory
        if rounds > 1:
            expected = run_peer()
            distance = snr(expected, separated.reshape(expected.shape))
        calls = (run_peer, lambda: ours.separate(mixture), multiply)
        times = [[processor_seconds(call) for call in calls] for _ in range(rounds)]
    theirs, mine, products = (statistics.median(column) for column in zip(*times, strict=True))
    ratio = statistics.median(peer_time / our_time for peer_time, our_time, _ in times)
    peak = PRODUCTS * product_operations / products
    least = runtime.operations / peak
    return (
        f"{name:20} msst {theirs:6.1f} s  ours {mine:6.1f} s  {ratio:5.2f} ×  SNR {distance:5.1f} dB\n"
        f"{'':20} {runtime.operations / 1e9:.0f} GF: ours {runtime.operations / mine / 1e9:.0f} GF/s, "
        f"large products {peak / 1e9:.0f} GF/s, in which the network takes {least:.1f} s: {theirs / least:.2f} ×"
    )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="+", metavar="NAME", choices=NETWORKS)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--precision", default="fp32")
    parser.add_argument("--seconds", type=float, default=8, help="length of the segment")
    parser.add_argument("--threads", type=int, default=THREADS)
    options = parser.parse_args()
    for name in options.names:
        segment = round(options.seconds * SAMPLE_RATE)
        print(compare(name, options.rounds, options.precision, segment, options.threads), flush=True)


if __name__ == "__main__":
    main()
