"""An oscillator that fades from waveform to waveform: the core of synthesizers and of plucked strings.

Each waveform is one cycle, an octave below the note, so that sub-oscillators and 16' organ stops fit. Filters are
applied to its harmonics: nothing aliases, and an envelope on a filter costs nothing.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from training.score import SAMPLE_RATE, Audio

CYCLE: Final = 8192
HIGHEST: Final = 16_000.0
Floats = NDArray[np.float64]


def frequency(pitch: float) -> float:
    """Hertz of a MIDI number."""
    return 440.0 * 2 ** ((pitch - 69) / 12)


def harmonics(hertz: float) -> Floats:
    """Numbers of the harmonics of a note that are kept; halves lie an octave below."""
    most = int(min(HIGHEST / hertz * 2, CYCLE // 2 - 1))
    return np.arange(1, max(most, 2) + 1) / 2


def cycles(amplitudes: Floats, phases: Floats | float = -np.pi / 2) -> Audio:
    """Waveforms ``[frames, CYCLE]`` of the harmonics' amplitudes ``[frames, harmonics]``, the loudest 1."""
    spectrum = np.zeros((len(amplitudes), CYCLE // 2 + 1), np.complex64)
    spectrum[:, 1 : amplitudes.shape[1] + 1] = amplitudes * np.exp(1j * np.asarray(phases))
    return normalise(np.fft.irfft(spectrum, CYCLE).astype(np.float32))


def band_limited(waves: Floats, hertz: float) -> Audio:
    """Waveforms ``[frames, CYCLE]`` without what lies above `HIGHEST`, the loudest 1."""
    spectrum = np.fft.rfft(waves)
    spectrum[:, 0] = 0
    spectrum[:, len(harmonics(hertz)) + 1 :] = 0
    return normalise(np.fft.irfft(spectrum, CYCLE).astype(np.float32))


def normalise(audio: Audio, peak: float = 1.0) -> Audio:
    """The same with its peak at `peak`; silence stays."""
    loudest = float(np.abs(audio).max(initial=0.0))
    return audio * np.float32(peak / loudest) if loudest > 0 else audio


def low_pass(hertz: Floats, cutoff: Floats, resonance: float, poles: int = 4) -> Floats:
    """Gain of a resonant low-pass at the frequencies, for cutoffs that broadcast with them."""
    ratio = hertz / cutoff
    quality = resonance if poles == 2 else np.sqrt(resonance)
    return np.asarray(((1 - ratio**2) ** 2 + (ratio / quality) ** 2) ** (-0.25 * poles))


def oscillate(waves: Audio, position: Floats, turns: Floats) -> Audio:
    """Read the waveforms.

    Args:
        waves: ``[frames, CYCLE]``.
        position: which waveform, fractional, 0…frames - 1, for each sample.
        turns: cycles of the note since its start, for each sample.
    """
    index = (turns * (CYCLE / 2)).astype(np.int64) & (CYCLE - 1)
    if len(waves) == 1:
        return np.take(waves[0], index)
    frame = np.minimum(position.astype(np.int64), len(waves) - 2)
    index += frame * CYCLE
    before = np.take(waves.reshape(-1), index)
    after = np.take(waves.reshape(-1), index + CYCLE)
    return before + (after - before) * (position - frame).astype(np.float32)


def turns(hertz: float, semitones: Floats) -> Floats:
    """Cycles since the start of a note whose pitch is off by so much at each sample."""
    if not semitones.any():
        return np.arange(semitones.size) * (hertz / SAMPLE_RATE)
    return np.cumsum(hertz / SAMPLE_RATE * np.exp2(semitones / 12))


def fade_out(audio: Audio, seconds: float = 0.004) -> Audio:
    """The same, ending in silence."""
    count = min(round(seconds * SAMPLE_RATE), audio.shape[-1])
    audio[..., audio.shape[-1] - count :] *= np.linspace(1, 0, count, dtype=np.float32)
    return audio
