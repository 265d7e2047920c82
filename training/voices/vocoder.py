"""From envelopes, pitch and noisiness to sound: an excitation through a filter that changes every 6 ms.

The excitation's harmonics are summed in closed form (a Dirichlet kernel), so the cost does not grow with the
pitch, and the filter works on overlapping spectra (Griffin and Lim 1984, weighted overlap-add). Twice as fast as
WORLD's own synthesis for high voices, and roughness goes into the pulses themselves.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import fft, signal

from training.score import SAMPLE_RATE, Audio
from training.voices.bank import GRID, HOP
from training.voices.singer import Singer

Array = NDArray[np.float32]
_WINDOW: Final = 4 * HOP
_FREQUENCIES: Final = np.fft.rfftfreq(_WINDOW, 1 / SAMPLE_RATE)
_CYCLE_JITTER: Final = 0.08  # semitones from one cycle to the next, about half a per cent
_COLOUR_POINTS: Final = np.array([200.0, 600.0, 1700.0, 4500.0, 10_000.0])


@dataclass
class Frames:
    """Control values of the vocoder, one row for every `HOP` samples.

    Attributes:
        envelopes: ``[frames, len(GRID)]``, dB of power.
        pitch: MIDI numbers with fractions.
        voiced: 0…1, how much of the frame is harmonic.
        gain: dB.
        effort: dB an octave over 500 Hz.
        breath: 0…1, noise within the harmonics, beside the singer's own.
        jaw: −1…1, formants that wander by up to 4 %.
        rough: 0…1, factor on the singer's roughness.
    """

    envelopes: Array
    pitch: Array
    voiced: Array
    gain: Array
    effort: Array
    breath: Array
    jaw: Array
    rough: Array

    def __len__(self) -> int:
        return len(self.pitch)


def synthesise(frames: Frames, singer: Singer, scale: float, random: np.random.Generator) -> Audio:
    """``[len(frames) * HOP]`` samples; the formants' frequencies are multiplied by `scale`."""
    levels = _levels(frames, singer, scale)
    pulses, noise = _excitation(frames, singer, random)
    noisiness = _noisiness(frames, singer)
    spectra = _minimum_phase(levels)
    harmonic = _spectra(pulses, len(frames)) * np.sqrt(1 - noisiness**2)
    harmonic += _spectra(noise, len(frames)) * noisiness
    return _overlap_add(harmonic * spectra)


def _levels(frames: Frames, singer: Singer, scale: float) -> Array:
    """Natural logarithm of the filter's amplitude, ``[frames, bins]``.

    Warping, sharpening, colour, tilt and gain are linear in dB: one matrix product does them all.
    """
    octaves = np.clip(np.log2(np.maximum(_FREQUENCIES, 500) / 500), 0, 4.3)
    fixed = singer.presence * np.exp(-(np.log2(np.maximum(_FREQUENCIES, 1) / 3000) ** 2) / 0.18)
    fixed += np.interp(np.log(np.maximum(_FREQUENCIES, 1)), np.log(_COLOUR_POINTS), singer.colour)
    fixed -= 24 * np.maximum(np.log2(np.maximum(_FREQUENCIES, 1) / 11_500), 0)
    fixed -= 12 * np.maximum(np.log2(60 / np.maximum(_FREQUENCIES, 30)), 0)
    sharpen = _sharpening(singer.sharpness)
    matrix = np.concatenate([
        sharpen @ _warp(scale * 0.96),
        sharpen @ _warp(scale * 1.04),
        [fixed, octaves, np.ones_like(octaves)],
    ])  # fmt: skip
    open_jaw = (0.5 + 0.5 * frames.jaw)[:, None]
    rows = [frames.envelopes * (1 - open_jaw), frames.envelopes * open_jaw, np.ones((len(frames), 1))]
    rows += [frames.effort[:, None], frames.gain[:, None]]
    features = np.concatenate(rows, axis=1, dtype=np.float32)
    return features @ (matrix * np.log(10) / 20).astype(np.float32)


def _warp(scale: float) -> NDArray[np.float64]:
    """``[len(GRID), bins]``: reads the grid at the bins' frequencies over `scale`, linearly."""
    places = np.interp(_FREQUENCIES / scale, GRID, np.arange(len(GRID)))
    return np.maximum(0, 1 - np.abs(np.arange(len(GRID))[:, None] - places))


def _sharpening(factor: float) -> NDArray[np.float64]:
    """Multiplies what stands out from the envelope's trend."""
    places = np.arange(len(GRID))
    smooth = np.exp(-(((places[:, None] - places) / 7.0) ** 2))
    smooth /= smooth.sum(axis=0)
    return factor * np.eye(len(GRID)) + (1 - factor) * smooth


def _noisiness(frames: Frames, singer: Singer) -> Array:
    """Amplitude of noise in each bin against the whole, ``[frames, bins]``; it grows with the frequency."""
    breath = np.clip(singer.breathiness + frames.breath, 0, 1.5)
    rise = 0.02 + (_FREQUENCIES / 4500) ** 1.4
    share = np.outer(0.2 + 1.3 * breath**1.3, rise).astype(np.float32)
    return np.clip(1 - frames.voiced[:, None] * (1 - np.minimum(share, 1)), 0, 1)


def _excitation(frames: Frames, singer: Singer, random: np.random.Generator) -> tuple[Array, Array]:
    """A pulse train and noise of equal spectral density."""
    length = len(frames) * HOP
    noise = random.standard_normal(length, dtype=np.float32)
    at = np.arange(length) / HOP
    every = np.arange(len(frames))
    rough = singer.roughness * frames.rough
    shaky = frames.pitch + (_CYCLE_JITTER + 0.35 * rough) * random.standard_normal(len(frames))
    f0 = np.interp(at, every, 440 * 2 ** ((shaky - 69) / 12))
    phase = 2 * np.pi * np.cumsum(f0 / SAMPLE_RATE)
    count = np.floor(18_000 / f0)
    half = 0.5 * np.remainder(phase, 2 * np.pi)
    bottom = np.sin(half)
    safe = np.where(np.abs(bottom) < 1e-6, 1e-6, bottom)
    pulses = np.where(np.abs(bottom) < 1e-6, count, 0.5 * (np.sin((2 * count + 1) * half) / safe - 1))
    pulses *= 2 * np.sqrt(f0 / SAMPLE_RATE)
    if singer.roughness > 0:
        # Every second pulse weaker, the ventricular folds' doing (Sakakibara et al. 2004, on growl), unevenly.
        depth = np.interp(at, every, rough * random.uniform(0.2, 1.0, len(frames)))
        pulses *= 1 + 0.9 * depth * np.cos(0.5 * phase)
    return pulses.astype(np.float32), noise


def _minimum_phase(levels: Array) -> NDArray[np.complex64]:
    """Amplitudes' spectra with the phase of a vocal tract: the folded cepstrum (Oppenheim and Schafer)."""
    cepstra = fft.irfft(levels, axis=1)
    cepstra[:, 1 : _WINDOW // 2] *= 2
    cepstra[:, _WINDOW // 2 + 1 :] = 0
    return np.exp(fft.rfft(cepstra, axis=1))


def _spectra(audio: Array, frames: int) -> NDArray[np.complex64]:
    padded = np.pad(audio, _WINDOW // 2)
    windows = np.lib.stride_tricks.sliding_window_view(padded, _WINDOW)[::HOP][:frames]
    return fft.rfft(windows * _sine_window(), axis=1)


def _overlap_add(spectra: NDArray[np.complex64]) -> Audio:
    pieces = (fft.irfft(spectra, axis=1) * (_sine_window() / 2)).reshape(len(spectra), 4, HOP)
    blocks = np.zeros((len(spectra) + 3, HOP), np.float32)
    for quarter in range(4):
        blocks[quarter : quarter + len(spectra)] += pieces[:, quarter]
    return blocks.reshape(-1)[_WINDOW // 2 :][: len(spectra) * HOP]


def _sine_window() -> Array:
    return np.sqrt(signal.get_window("hann", _WINDOW)).astype(np.float32)
