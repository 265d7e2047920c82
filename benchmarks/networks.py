"""``python -m benchmarks.networks NAME …``: processor seconds of SCNet and the RoFormers beside msst's torch networks.

Both separate the same 8 s with the same random weights, transforms included, on two threads in single precision,
alternating. Needs .venv-torch. Prints the medians of both, the median of the ratios, and the SNR to msst's result.
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

from benchmarks.parity import snr
from benchmarks.peers.msst import NETWORKS, build
from stemsplitter.separation.architectures import ARCHITECTURES, ModelFiles
from stemsplitter.separation.model import SegmentModel
from stemsplitter.separation.runtimes import Runtime
from stemsplitter.separation.runtimes.openvino import OpenVinoRuntime

SEGMENT = 352_800
THREADS = 2
_SETTINGS = ("band_SR", "band_stride", "stft_hop_length")


def our_model(name: str, peer: Any, folder: Path, runtime: Runtime) -> SegmentModel:
    """Load a network with the weights of its peer on a runtime."""
    import torch

    kind, arguments = NETWORKS[name]
    path = folder / f"{name}.ckpt"
    torch.save(peer.state_dict(), path)
    outputs = len(arguments.get("sources", "dbov")) if kind == "scnet" else arguments.get("num_stems", 1)
    settings = {key: value for key, value in arguments.items() if key in _SETTINGS}
    settings |= {"segment": SEGMENT, "heads": list(range(outputs))}
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


def compare(name: str, rounds: int, precision: str) -> str:
    """Time both networks ``rounds`` times, after one run of each, and return a line of the table."""
    import torch

    torch.set_num_threads(THREADS)
    peer = build(name)
    mixture = np.random.default_rng(0).standard_normal((2, SEGMENT)).astype(np.float32) / 8
    with tempfile.TemporaryDirectory() as folder:
        ours = our_model(name, peer, Path(folder), OpenVinoRuntime(precision, THREADS))

        def run_peer() -> NDArray[np.float32]:
            with torch.inference_mode():
                stems: NDArray[np.float32] = peer(torch.from_numpy(mixture)[None])[0].numpy()
            return stems

        distance = float("nan")
        separated = ours.separate(mixture)  # the first run of a thread allocates its memory
        if rounds > 1:
            expected = run_peer()
            distance = snr(expected, separated.reshape(expected.shape))
        times = [
            (processor_seconds(run_peer), processor_seconds(lambda: ours.separate(mixture)))
            for _ in range(rounds)
        ]
    theirs, mine = (statistics.median(column) for column in zip(*times, strict=True))
    ratio = statistics.median(a / b for a, b in times)
    return f"{name:20} msst {theirs:6.1f} s  ours {mine:6.1f} s  {ratio:5.2f} ×  SNR {distance:5.1f} dB"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="+", metavar="NAME", choices=NETWORKS)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--precision", default="fp32")
    options = parser.parse_args()
    for name in options.names:
        print(compare(name, options.rounds, options.precision), flush=True)


if __name__ == "__main__":
    main()
