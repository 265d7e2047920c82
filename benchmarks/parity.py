"""``python -m benchmarks.parity``: signal-to-noise ratio against demucs on the same weights, by precision."""

import tempfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.checkpoints import load, random_checkpoint


def snr(reference: NDArray[np.floating], estimate: NDArray[np.floating]) -> float:
    """Signal-to-noise ratio: 10·log10 of the energy of the reference over that of the difference, in dB."""
    difference = np.square(reference.astype(np.float64) - estimate).sum()
    return float(10 * np.log10(np.square(reference.astype(np.float64)).sum() / max(difference, 1e-30)))


def demucs_reference(checkpoint: Path, mixture: NDArray[np.float32]) -> NDArray[np.float32]:
    """Separate one segment ``[2, n]`` with demucs, normalized to unit deviation as demucs normalizes songs."""
    import torch

    deviation = mixture.std()
    with torch.inference_mode():
        stems = load(checkpoint)(torch.from_numpy(mixture / deviation)[None])[0]
    reference: NDArray[np.float32] = stems.numpy() * deviation
    return reference


def main() -> None:
    """Compare on one segment of the demo song and print a table."""
    from benchmarks.songs import DEMO
    from stemsplitter.audio.decode import open_source
    from stemsplitter.separation.architectures.htdemucs.model import HTDemucsModel
    from stemsplitter.separation.runtimes.openvino import OpenVinoRuntime
    from stemsplitter.separation.runtimes.torch import TorchRuntime

    checkpoint = random_checkpoint(Path("build/benchmarks/weights"))
    with open_source(DEMO) as source:
        song = np.concatenate(list(source.blocks()), axis=1)
    mixture = np.ascontiguousarray(song[:, 44_100 * 60 :][:, :343_980])
    reference = demucs_reference(checkpoint, mixture)
    print("| runtime | SNR against demucs, dB |\n|---|---|")
    runtimes = {
        "OpenVINO fp32": lambda: OpenVinoRuntime("fp32"),
        "OpenVINO bf16": lambda: OpenVinoRuntime("bf16"),
        "torch fp32": lambda: TorchRuntime("cpu", "fp32"),
        "torch bf16": lambda: TorchRuntime("cpu", "bf16"),
    }
    for name, runtime in runtimes.items():
        with tempfile.TemporaryDirectory() as folder:
            model = HTDemucsModel(runtime(), [checkpoint], Path(folder))
            print(f"| {name} | {snr(reference, model.separate(mixture)):.1f} |", flush=True)


if __name__ == "__main__":
    main()
