"""What the models are held against: nothing at all, a classic without training, and a bound from above.

Each takes a song and a layout, and gives the stems it can, each [2, n].
"""

import numpy as np
import numpy.typing as npt
from numpy.lib.stride_tricks import sliding_window_view

from evaluation.datasets import Audio, Song
from stemsplitter.separation.stft import Stft

STFT = Stft(4096)
MEDIAN = 17  # frames and bins, as in the paper

Spectrum = npt.NDArray[np.complex64]


def do_nothing(song: Song, layout: tuple[str, ...]) -> dict[str, Audio]:
    """The mixture as every stem."""
    return dict.fromkeys(layout, song.mixture)


def percussive(song: Song, layout: tuple[str, ...]) -> dict[str, Audio]:
    """The percussive part as the drums, by median filtering (D. FitzGerald, DAFx 2010)."""
    if "drums" not in layout:
        return {}
    spectrum = transform(song.mixture)
    magnitude = np.abs(spectrum).sum(axis=0)
    steady, sudden = _median(magnitude) ** 2, _median(magnitude.T).T ** 2
    mask = sudden / np.maximum(steady + sudden, np.finfo(np.float32).tiny)
    return {"drums": inverse(spectrum * mask, song.mixture.shape[1])}


def ideal_ratio_mask(song: Song, layout: tuple[str, ...]) -> dict[str, Audio]:
    """Each stem as the mixture times |S| / Σ|S| of the true stems: what a perfect mask could give.

    What the song has beyond the known stems of the layout counts as one more stem.
    """
    known = {stem: truth for stem in layout if (truth := song.truth(stem, layout)) is not None}
    rest = song.mixture - np.sum([0 * song.mixture, *known.values()], axis=0)
    magnitudes = [np.abs(transform(stem)) for stem in (*known.values(), rest)]
    total = np.maximum(np.sum(magnitudes, axis=0), np.finfo(np.float32).tiny)
    spectrum, length = transform(song.mixture), song.mixture.shape[1]
    return {
        stem: inverse(spectrum * (magnitude / total), length)
        for stem, magnitude in zip(known, magnitudes, strict=False)
    }


REFERENCES = {
    "doing nothing": do_nothing,
    "percussive part": percussive,
    "ideal ratio mask": ideal_ratio_mask,
}


def transform(signal: Audio) -> Spectrum:
    """STFT of [2, n], padded so that every sample is covered by four frames: [2, frames, bins]."""
    edge = STFT.n_fft - STFT.hop
    return STFT.forward(np.pad(signal, ((0, 0), (edge, edge + -signal.shape[1] % STFT.hop))))


def inverse(spectrum: npt.NDArray[np.complexfloating], length: int) -> Audio:
    """The `length` samples that `transform` made this spectrum of."""
    edge = STFT.n_fft - STFT.hop
    return STFT.inverse(spectrum.astype(np.complex64, copy=False))[:, edge : edge + length]


def _median(magnitude: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Running median along the first axis."""
    half = MEDIAN // 2
    around = sliding_window_view(np.pad(magnitude, ((half, half), (0, 0))), MEDIAN, axis=0)
    rows = [np.partition(row, half, axis=-1)[..., half] for row in around]
    return np.stack(rows)
