"""Streaming isolation of speech."""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from stemsplitter.audio.resample import Resampler
from stemsplitter.isolation.features import (
    BAND_OF_BIN,
    BANDS,
    FILTERED,
    HOP,
    RATE,
    SIZE,
    Features,
    Samples,
    Spectra,
    analyze,
    synthesize,
)
from stemsplitter.isolation.network import CONTEXT, Networks

CHUNK = 100  # frames; more need more memory, and are hardly faster
_LOOK_AHEAD, _TAPS = 2, 5  # frames; of the filter of the lowest bins
_PAST = _TAPS - 1 - _LOOK_AHEAD


class VoiceIsolator:
    """Extracts the speech of a stream of blocks ``[C, n]``: ``n`` samples, aligned with it.

    The channels are processed at once, each on its own, at 48 kHz, in chunks of 1 s whose recurrent states are kept, so
    that the result is that of the whole stream. As long as all channels are the same, as in most recordings of one
    microphone, one is processed. What is above 24 kHz is not speech.

    Args:
        sample_rate: in hertz.
        channels: of the blocks.
        networks: loaded networks, which several isolators may share.
    """

    def __init__(self, sample_rate: int, channels: int, networks: Networks) -> None:
        self._taken = 0
        self._to_model = Resampler(sample_rate, RATE, channels)
        self._from_model = Resampler(RATE, sample_rate, channels)
        self._channels, self._frames = channels, _Frames(networks)

    def process(self, block: Samples) -> Samples:
        """Take float32 ``[C, n]`` and return the speech that is finished, ``[C, m]``."""
        self._taken += block.shape[1]
        return self._from_model.push(self._speech(self._to_model.push(block), end=False))

    def flush(self) -> Samples:
        """End the stream and return its remaining speech."""
        last = self._from_model.push(self._speech(self._to_model.flush(), end=True))
        return np.concatenate([last, self._from_model.flush(self._taken)], axis=1)

    def _speech(self, samples: Samples, end: bool) -> Samples:
        if self._frames.channels == 1 and (samples != samples[:1]).any():
            self._frames.repeat(self._channels)
        speech = self._frames.process(samples[: self._frames.channels], end)
        return np.repeat(speech, self._channels // len(speech), axis=0)


class _Frames:
    """The state of a stream: samples not yet framed, features and spectra not yet used, recurrent states."""

    def __init__(self, networks: Networks) -> None:
        self.channels = 1
        self._networks, self._states = networks, networks.initial()
        self._features = Features()
        self._samples = np.zeros((1, HOP), np.float32)  # the first frame is half empty
        self._taken = self._given = 0
        self._early = _LOOK_AHEAD  # features that the networks do not get, so that they see the future
        # what the networks get, after the frames of the past that their convolutions read
        self._bands: Samples = np.zeros((1, CONTEXT, BANDS), np.float32)
        self._bins: Spectra = np.zeros((1, CONTEXT, FILTERED), np.complex64)
        self._spectra: Spectra = np.zeros((1, _PAST, SIZE // 2 + 1), np.complex64)
        self._half = np.zeros((1, 1, HOP), np.float32)
        self._skip = HOP  # the output begins in the second half of the first frame

    def repeat(self, channels: int) -> None:
        """Go on with ``channels`` channels, all of which were the same so far."""
        self.channels = channels
        self._features.repeat(channels)
        self._states = {name: state.repeat(channels, axis=0) for name, state in self._states.items()}
        self._samples, self._half = (
            self._samples.repeat(channels, axis=0),
            self._half.repeat(channels, axis=0),
        )
        self._bands, self._bins = self._bands.repeat(channels, axis=0), self._bins.repeat(channels, axis=0)
        self._spectra = self._spectra.repeat(channels, axis=0)

    def process(self, samples: Samples, end: bool) -> Samples:
        """Take samples ``[C, n]`` and return the finished ones; all that remain at the end of the stream."""
        self._taken += samples.shape[1]
        self._samples = np.concatenate([self._samples, samples], axis=1)
        pieces: list[Samples] = [np.zeros((len(samples), 0), np.float32)]
        while (self._samples.shape[1] - SIZE) // HOP + 1 >= CHUNK:
            self._add_frames(CHUNK)
            pieces.append(self._next())
        if end:
            self._samples = np.pad(self._samples, ((0, 0), (0, SIZE + -self._samples.shape[1] % HOP)))
            self._add_frames((self._samples.shape[1] - SIZE) // HOP + 1)
            zeros = ((0, 0), (0, _LOOK_AHEAD), (0, 0))
            self._bands, self._bins = np.pad(self._bands, zeros), np.pad(self._bins, zeros)
            self._spectra = np.pad(self._spectra, zeros)
            pieces.append(self._next())
        speech = np.concatenate(pieces, axis=1)
        if end:
            speech = speech[:, : self._taken - self._given]
        self._given += speech.shape[1]
        return speech

    def _add_frames(self, count: int) -> None:
        spectra = analyze(sliding_window_view(self._samples, SIZE, axis=1)[:, ::HOP][:, :count])
        self._samples = self._samples[:, count * HOP :]
        bands, bins = self._features.next(spectra)
        early = min(self._early, count)
        self._early -= early
        self._bands = np.concatenate([self._bands, bands[:, early:]], axis=1)
        self._bins = np.concatenate([self._bins, bins[:, early:]], axis=1)
        self._spectra = np.concatenate([self._spectra, spectra], axis=1)

    def _next(self) -> Samples:
        """Process the frames whose future is known."""
        count = self._bands.shape[1] - CONTEXT
        if count <= 0:
            return np.zeros((self.channels, 0), np.float32)
        gains, filters = self._predict()
        self._bands, self._bins = self._bands[:, count:], self._bins[:, count:]
        speech = self._spectra[:, _PAST : _PAST + count] * gains[:, :, BAND_OF_BIN]
        lowest = self._spectra[..., :FILTERED]
        taps = (lowest[:, tap : tap + count] * filters[..., tap] for tap in range(_TAPS))
        speech[..., :FILTERED] = sum(taps)
        self._spectra = self._spectra[:, count:]
        frames = synthesize(speech)
        starts = np.concatenate([self._half, frames[:, :-1, HOP:]], axis=1)
        self._half = frames[:, -1:, HOP:]
        samples: Samples = (frames[..., :HOP] + starts).reshape(self.channels, -1)
        skip = min(self._skip, samples.shape[1])
        self._skip -= skip
        return samples[:, skip:]

    def _predict(self) -> tuple[Samples, Spectra]:
        """Return the gains of the bands ``[C, T, 32]`` and the filters of the lowest bins ``[C, T, 96, 5]``."""
        bins = np.stack([self._bins.real, self._bins.imag], axis=1)
        gains, filters = self._networks.run(self._bands[:, None], bins, self._states)
        return gains[:, 0], filters.view(np.complex64)
