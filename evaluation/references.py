"""References for the models: no separation, a classic method without training, and an upper bound.

Each takes a song and a layout, and returns the stems that it can estimate, each [2, n].
"""

import numpy as np
import numpy.typing as npt
from numpy.lib.stride_tricks import sliding_window_view

from evaluation.datasets import Audio, Song
from stemsplitter.separation.stft import Stft

STFT = Stft(4096)
SHORT_STFT = Stft(2048)
MEDIAN = 31  # frames and bins
ROWS_AT_ONCE = 8  # rows per median: the windows need 31 times the memory of the rows
TINY = np.finfo(np.float32).tiny

Spectrum = npt.NDArray[np.complex64]
Magnitude = npt.NDArray[np.float32]


def do_nothing(song: Song, layout: tuple[str, ...]) -> dict[str, Audio]:
    """The mixture as every stem."""
    return dict.fromkeys(layout, song.mixture)


def silence(song: Song, layout: tuple[str, ...]) -> dict[str, Audio]:
    """Silence as every stem: 0 dB by definition."""
    return dict.fromkeys(layout, np.zeros_like(song.mixture))


def percussive(song: Song, layout: tuple[str, ...]) -> dict[str, Audio]:
    """The percussive part as the drums, by median filtering (D. FitzGerald, DAFx 2010).

    With the parameters of `librosa.effects.percussive`: windows of 2,048 samples every 512, medians of 31 frames
    and of 31 bins, each channel separately, masks of power 2. The mask equals librosa's to within rounding.
    """
    if "drums" not in layout:
        return {}
    spectrum = transform(song.mixture, SHORT_STFT)
    magnitude = np.abs(spectrum)
    steady, sudden = _median(magnitude, axis=1) ** 2, _median(magnitude, axis=2) ** 2
    total = steady + sudden
    mask = np.where(total > TINY, sudden / np.maximum(total, TINY), np.float32(0.5))
    return {"drums": inverse(spectrum * mask, song.mixture.shape[1], SHORT_STFT)}


def ideal_ratio_mask(song: Song, layout: tuple[str, ...]) -> dict[str, Audio]:
    """Each stem as the mixture times |S| / Σ|S| of the true stems: the bound for magnitude masks.

    The rest of the song counts as one more stem.
    """
    known = {stem: truth for stem in layout if (truth := song.truth(stem, layout)) is not None}
    rest = song.mixture - np.sum([0 * song.mixture, *known.values()], axis=0)
    magnitudes = [np.abs(transform(stem)) for stem in (*known.values(), rest)]
    total = np.maximum(np.sum(magnitudes, axis=0), TINY)
    spectrum, length = transform(song.mixture), song.mixture.shape[1]
    return {
        stem: inverse(spectrum * (magnitude / total), length)
        for stem, magnitude in zip(known, magnitudes, strict=False)
    }


REFERENCES = {
    "mixture": do_nothing,
    "silence": silence,
    "percussive part": percussive,
    "ideal ratio mask": ideal_ratio_mask,
}


def transform(signal: Audio, stft: Stft = STFT) -> Spectrum:
    """STFT of [2, n], padded so that every sample is covered by four frames: [2, frames, bins]."""
    edge = stft.n_fft - stft.hop
    return stft.forward(np.pad(signal, ((0, 0), (edge, edge + -signal.shape[1] % stft.hop))))


def inverse(spectrum: npt.NDArray[np.complexfloating], length: int, stft: Stft = STFT) -> Audio:
    """The `length` samples of which `transform` computed this spectrum."""
    edge = stft.n_fft - stft.hop
    return stft.inverse(spectrum.astype(np.complex64, copy=False))[:, edge : edge + length]


def _median(magnitude: Magnitude, axis: int) -> Magnitude:
    """Running median of [2, frames, bins] along frames (axis 1) or bins (2), mirrored at the ends."""
    half = MEDIAN // 2
    width = [(half, half) if dimension == axis else (0, 0) for dimension in range(3)]
    around = sliding_window_view(np.pad(magnitude, width, mode="symmetric"), MEDIAN, axis=axis)
    out = np.empty_like(magnitude)
    for channel in range(len(out)):
        for start in range(0, out.shape[1], ROWS_AT_ONCE):
            block = around[channel, start : start + ROWS_AT_ONCE]
            out[channel, start : start + ROWS_AT_ONCE] = np.partition(block, half, axis=-1)[..., half]
    return out
