"""HTDemucs on waveforms: normalization, spectrogram and the sum of its two branches."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from stemsplitter.checkpoints.readers import read_checkpoint
from stemsplitter.errors import ModelError
from stemsplitter.files.atomic import AtomicFile
from stemsplitter.separation.architectures.htdemucs.network import EPS, HTDemucs, HTDemucsShape
from stemsplitter.separation.runtimes import Network, Runtime
from stemsplitter.separation.segments import triangle
from stemsplitter.separation.stft import Stft

OVERLAP = 0.25  # of a segment, the default of demucs
SILENCE = 1e-7  # −140 dBFS: quieter segments are not amplified to full level
LANDMARKS = (  # parameters of the released networks that other variants lack
    "tdecoder.0.dconv.layers.1.6.scale",
    "crosstransformer.layers_t.1.cross_attn.in_proj_weight",
    "crosstransformer.layers.0.norm_out.weight",
    "freq_emb.embedding.weight",
)


class HTDemucsModel:
    """One checkpoint, or a bag of checkpoints that each provide one of the stems (`htdemucs_ft`).

    Raises:
        ModelError: a checkpoint is not an HTDemucs of the released kind.
    """

    reflect = False

    def __init__(self, runtime: Runtime, checkpoints: Sequence[Path], cache: Path) -> None:
        shapes = [_shape(path, cache) for path in checkpoints]
        self._networks = [
            _compile(runtime, path, shape, _chosen(index, len(checkpoints), shape), cache)
            for index, (path, shape) in enumerate(zip(checkpoints, shapes, strict=True))
        ]
        self._shape = shape = shapes[0]
        self.stems = shape.sources
        self.sample_rate = shape.sample_rate
        self.segment = shape.segment
        self.hop = int((1 - OVERLAP) * shape.segment)
        self.window = triangle(shape.segment)
        self.concurrency = runtime.concurrency
        self.device = runtime.device
        self.notes: tuple[str, ...] = ()
        self._stft = Stft(shape.n_fft, normalized=True)
        self._pad = self._stft.hop // 2 * 3
        ones = np.full((1, shape.frames, self._stft.bins), 1 + 1j, np.complex64)
        ones[..., -1] = 0
        self._constant = self._cut(self._stft.inverse(ones))[0]

    def separate(self, mixture: NDArray[np.float32]) -> NDArray[np.float32]:
        # demucs first scales the whole song to unit deviation, which a stream cannot do. The network normalizes again,
        # so scaling the segment differs only in the weight of EPS
        level = np.float32(max(mixture.std(dtype=np.float64), SILENCE))
        waveform = mixture / level
        planes = self._spectrogram(waveform)
        mean, deviation = _normalize(planes)
        mean_t, deviation_t = _normalize(waveform)
        stems = np.empty((len(self.stems), *mixture.shape), np.float32)
        for index, network in enumerate(self._networks):
            chosen = _chosen(index, len(self._networks), self._shape)
            spectrum, wave = network(planes.reshape(1, 4, *planes.shape[2:]), waveform[None, :, None])
            spectrum = spectrum.view(np.complex64)[..., 0][..., 2:-1]
            spectrum[..., -1] = 0  # the Nyquist bin, which the network does not model
            out = self._cut(self._stft.inverse(spectrum))
            out *= deviation * level
            out += mean * level * self._constant
            wave = wave[:, 2:-2]
            wave *= deviation_t * level
            wave += mean_t * level
            out += wave
            stems[list(chosen)] = out.reshape(len(chosen), *mixture.shape)
        return stems

    def _spectrogram(self, mixture: NDArray[np.float32]) -> NDArray[np.float32]:
        shape = self._shape
        right = self._pad + shape.frames * self._stft.hop - shape.segment
        return self._stft.forward_planes(np.pad(mixture, ((0, 0), (self._pad, right)), mode="reflect"))

    def _cut(self, padded: NDArray[np.float32]) -> NDArray[np.float32]:
        return padded[:, self._pad : self._pad + self._shape.segment]


def _normalize(x: NDArray[np.float32]) -> tuple[np.float32, np.float32]:
    """Scale ``x`` to zero mean and unit deviation in place; return its mean and deviation."""
    mean = x.mean(dtype=np.float64).astype(np.float32)
    x -= mean
    flat = x.reshape(-1)
    deviation = np.float32(np.sqrt(np.dot(flat, flat) / (flat.size - 1)))
    x /= EPS + deviation
    return mean, deviation


def _chosen(index: int, count: int, shape: HTDemucsShape) -> tuple[int, ...]:
    """Return the sources computed with checkpoint ``index`` of ``count``: its own in a bag, else all."""
    return (index,) if count > 1 else tuple(range(len(shape.sources)))


def _compile(
    runtime: Runtime, path: Path, shape: HTDemucsShape, chosen: tuple[int, ...], cache: Path
) -> Network:
    inputs = {
        "spectrogram": (1, 4, shape.n_fft // 2, shape.frames),
        "waveform": (1, 2, 1, shape.segment),
    }
    name = "-".join((path.stem, *map(str, chosen)))
    return runtime.compile(lambda: HTDemucs(shape, read_checkpoint(path).state, chosen), inputs, cache / name)


def _shape(path: Path, cache: Path) -> HTDemucsShape:
    """Return the sizes of a checkpoint's network, kept in ``cache`` to avoid reading the weights again."""
    kept = cache / f"{path.stem}.json"
    try:
        values = json.loads(kept.read_text())
        return HTDemucsShape(**{**values, "sources": tuple(values["sources"])})
    except (OSError, ValueError, TypeError, KeyError):
        shape = _read_shape(path)
    cache.mkdir(parents=True, exist_ok=True)
    with AtomicFile(kept) as pending:
        pending.file.write(json.dumps(asdict(shape)).encode())
        pending.commit()
    return shape


def _read_shape(path: Path) -> HTDemucsShape:
    """Read the sizes from the constructor arguments in a checkpoint."""
    checkpoint = read_checkpoint(path)
    arguments, sources = checkpoint.kwargs, checkpoint.sources
    known = {
        "channels": 48,
        "depth": 4,
        "nfft": 4096,
        "t_layers": 5,
        "t_heads": 8,
        "bottom_channels": 0,
        "segment": 10,
        "samplerate": 44_100,
    }
    sizes = {name: arguments.get(name, default) for name, default in known.items()}
    fixed = {"growth": 2, "audio_channels": 2, "cac": True, "t_emb": "sin", "t_norm_first": True}
    given = {name: arguments.get(name, default) for name, default in fixed.items()}
    if (
        not isinstance(sources, list | tuple)
        or given != fixed
        or not set(LANDMARKS) <= checkpoint.state.keys()
    ):
        raise ModelError(
            f"{path.name} is not an HTDemucs checkpoint of the released kind: choose another file."
        )
    return HTDemucsShape(
        sources=tuple(sources),
        segment=int(sizes["segment"] * sizes["samplerate"]),
        sample_rate=int(sizes["samplerate"]),
        n_fft=int(sizes["nfft"]),
        channels=int(sizes["channels"]),
        depth=int(sizes["depth"]),
        layers=int(sizes["t_layers"]),
        heads=int(sizes["t_heads"]),
        bottom_channels=int(sizes["bottom_channels"]),
    )
