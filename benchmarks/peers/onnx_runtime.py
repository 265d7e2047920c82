"""HTDemucs exported by torch and run by ONNX Runtime, with this project's transforms.

``python -m benchmarks.peers.onnx_runtime export CHECKPOINT MODEL`` and ``… run MODEL SONG FOLDER``; only the
second is measured. The package demucs-onnx does the same with an older exporter.
"""

import sys
from pathlib import Path

import numpy as np

SEGMENT, FRAMES = 343_980, 336


def export(checkpoint: Path, path: Path) -> None:
    """Export the network without its transforms: spectrogram and waveform in and out."""
    import torch

    from benchmarks.checkpoints import load

    torch.backends.mha.set_fastpath_enabled(False)

    class Core(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = load(checkpoint)

        def forward(self, planes: torch.Tensor, mixture: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            model, made = self.model, {}
            model._spec = lambda x: planes
            model._magnitude = lambda z: z
            model._mask = lambda z, m: made.setdefault("spectrum", m)
            model._ispec = lambda z, length: 0.0
            waveform = model(mixture)
            return made["spectrum"], waveform

    inputs = (torch.randn(1, 4, 2048, FRAMES), torch.randn(1, 2, SEGMENT))
    with torch.no_grad():
        torch.onnx.export(
            Core(), inputs, str(path), input_names=["planes", "mixture"], opset_version=18, dynamo=False
        )


def separate(path: Path, song: Path, folder: Path) -> None:
    """Separate a song into WAV files."""
    import onnxruntime

    from stemsplitter.audio.decode import open_source
    from stemsplitter.audio.formats import OutputFormat
    from stemsplitter.audio.stemset import StemSet
    from stemsplitter.separation.segments import OverlapAdd, Segmenter, triangle
    from stemsplitter.separation.stft import Stft

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 2
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    stft, hop = Stft(4096, normalized=True), int(0.75 * SEGMENT)
    names = ["drums", "bass", "other", "vocals", "guitar", "piano"]
    with (
        open_source(song) as source,
        StemSet(
            {name: folder / f"{name}.wav" for name in names}, OutputFormat.parse("wav16"), 44_100, 2
        ) as files,
    ):
        segmenter, overlap_add = Segmenter(2, SEGMENT, hop), OverlapAdd(triangle(SEGMENT), hop)

        def work(segments) -> None:  # type: ignore[no-untyped-def]
            for segment in segments:
                padded = np.pad(
                    segment.audio, ((0, 0), (1536, 1536 + FRAMES * 1024 - SEGMENT)), mode="reflect"
                )
                planes = stft.forward_planes(padded).reshape(1, 4, 2048, FRAMES)
                spectrum, waveform = session.run(None, {"planes": planes, "mixture": segment.audio[None]})
                planes = spectrum.reshape(12, 2, 2048, FRAMES)
                rows = np.pad((planes[:, 0] + 1j * planes[:, 1]).swapaxes(1, 2), ((0, 0), (0, 0), (0, 1)))
                stems = stft.inverse(rows)[:, 1536 : 1536 + SEGMENT]
                stems = stems.reshape(6, 2, -1) + waveform.reshape(6, 2, -1)
                files.write(dict(zip(names, overlap_add.add(segment, stems), strict=True)))

        for block in source.blocks():
            work(segmenter.push(block))
        work(segmenter.flush())
        files.write(dict(zip(names, overlap_add.flush(), strict=True)))
        files.commit()


if __name__ == "__main__":
    task, *paths = sys.argv[1:]
    {"export": export, "run": separate}[task](*(Path(path) for path in paths))
