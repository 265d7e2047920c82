"""Spectral envelopes, which carry the formants of a voice."""

import numpy as np
import numpy.typing as npt

_QUEFRENCY_S = 0.0015  # of the liftering: shorter than the period of a voice up to 660 Hz
_ITERATIONS = 4
_FLOOR = 1e-8  # of a frame's largest energy
_MOST_GAIN = np.log(16.0)  # 24 dB


def moved_envelope(
    energy: npt.NDArray[np.float32], ratio: float, sample_rate: float
) -> npt.NDArray[np.float32]:
    """Return gains ``[B, K]`` that give the spectra of energies ``[B, K]`` their own envelope after a transposition.

    A spectrum with these gains, transposed by ``ratio``, has the envelope of the original. The envelope is the "true
    envelope" of cepstral liftering (Röbel and Rodet, "Efficient spectral envelope estimation and its application to
    pitch shifting and envelope preservation", DAFx 2005). No gain is over 24 dB.
    """
    envelope = _envelope(energy, sample_rate)
    last = envelope.shape[1] - 1
    position = np.minimum(np.arange(last + 1) * ratio, last)
    low = np.minimum(position.astype(np.intp), last - 1)
    fraction = (position - low).astype(np.float32)
    moved = envelope[:, low] * (1 - fraction) + envelope[:, low + 1] * fraction
    gains: npt.NDArray[np.float32] = np.exp(
        np.clip(moved - envelope, -_MOST_GAIN, _MOST_GAIN), dtype=np.float32
    )
    return gains


def _envelope(energy: npt.NDArray[np.float32], sample_rate: float) -> npt.NDArray[np.float32]:
    """Return the logarithm of the amplitudes' envelope."""
    floor = np.maximum(energy.max(axis=1, keepdims=True) * _FLOOR, np.float32(1e-30))
    log = 0.5 * np.log(np.maximum(energy, floor))
    size = 2 * (energy.shape[1] - 1)
    # at a higher sample rate, the same time is more samples
    order = max(min(int(_QUEFRENCY_S * sample_rate), size // 2 - 1), 1)
    lifter = np.zeros(size, np.float32)
    lifter[: order + 1] = 1
    lifter[size - order :] = 1
    smooth: npt.NDArray[np.float32] = log.astype(np.float32)
    target = smooth
    for _ in range(_ITERATIONS):
        smooth = np.fft.rfft(np.fft.irfft(target, size) * lifter).real.astype(np.float32, copy=False)
        target = np.maximum(log, smooth)
    return smooth
