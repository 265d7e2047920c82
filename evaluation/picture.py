"""One picture per song: spectrograms of the mixture, of each true stem and of each estimate, side by side."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from evaluation.comparison import Comparison
from evaluation.datasets import SAMPLE_RATE, Audio
from evaluation.references import STFT, transform

LOWEST, HIGHEST = 32.0, 16_000.0  # Hz
BANDS = 192
COLUMNS = 500  # at most, in time
RANGE_DB = 80.0  # relative to the mixture's maximum
TICKS = {100: "100 Hz", 1_000: "1 kHz", 10_000: "10 kHz"}

Power = npt.NDArray[np.float64]


def draw(comparison: Comparison, path: Path) -> None:
    """Write a PNG: the mixture first, then a row per stem with a column for the true stem and for every model."""
    rows, columns = len(comparison.rows) + 1, len(comparison.columns)
    figure = Figure(figsize=(5 * columns, 1.9 * rows), dpi=100, layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False)
    for unused in axes.flat:
        unused.set_axis_off()
    mixture = spectrogram(comparison.mixture)
    seconds = comparison.mixture.shape[1] / SAMPLE_RATE
    _show(axes[0, 0], mixture, mixture.max(), seconds, f"{comparison.name}: mixture")
    for row, line in zip(comparison.rows, axes[1:], strict=True):
        for by, panel in zip(comparison.columns, line, strict=True):
            if by in row.sounds:
                _show(panel, spectrogram(row.sounds[by]), mixture.max(), seconds, row.title(by))
    figure.savefig(path)


def spectrogram(sound: Audio) -> Power:
    """Energy of [2, n] in dB, both channels together: [BANDS, columns], bands equally spaced on a logarithmic axis."""
    power = np.square(np.abs(transform(sound)), dtype=np.float64).sum(axis=0)
    edges = np.geomspace(LOWEST, HIGHEST, BANDS + 1) * STFT.n_fft / SAMPLE_RATE
    power = _means(power, edges, axis=1)
    columns = min(COLUMNS, len(power))
    power = _means(power, np.linspace(0, len(power), columns + 1), axis=0)
    return 10 * np.log10(power + np.finfo(np.float32).tiny).T


def _means(power: Power, edges: Power, axis: int) -> Power:
    """Means between consecutive edges, of one bin at least."""
    first = edges[:-1].astype(int)
    last = np.maximum(edges[1:].astype(int), first + 1)
    running = np.insert(np.cumsum(power, axis=axis), 0, 0, axis=axis)
    means: Power = np.subtract(running.take(last, axis), running.take(first, axis))
    means /= np.expand_dims(last - first, 1 - axis)
    return means


def _show(panel: Axes, decibels: Power, loudest: float, seconds: float, title: str) -> None:
    extent = (0, seconds, np.log10(LOWEST), np.log10(HIGHEST))
    panel.set_axis_on()
    panel.imshow(
        decibels,
        origin="lower",
        aspect="auto",
        extent=extent,
        cmap="magma",
        vmin=loudest - RANGE_DB,
        vmax=loudest,
    )
    panel.set_yticks([np.log10(hertz) for hertz in TICKS], list(TICKS.values()))
    panel.xaxis.set_major_formatter("{x:g} s")
    panel.tick_params(labelsize=7)
    panel.set_title(title, fontsize=9)
