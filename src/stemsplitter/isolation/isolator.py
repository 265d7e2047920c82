"""Streaming isolation of speech."""

import numpy as np
import numpy.typing as npt
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

    Each channel is processed on its own, at 48 kHz, in chunks of 1 s whose recurrent states are kept, so that the
    result is that of the whole stream. What is above 24 kHz is not speech.

    Args:
        sample_rate: in hertz.
        channels: of the blocks.
        networks: loaded networks, which several isolators may share.
    """

    def __init__(self, sample_rate: int, channels: int, networks: Networks) -> None:
        self._taken = 0
        self._to_model = Resampler(sample_rate, RATE, channels)
        self._from_model = Resampler(RATE, sample_rate, channels)
        self._channels = [_Channel(networks) for _ in range(channels)]

    def process(self, block: Samples) -> Samples:
        """Take float32 ``[C, n]`` and return the speech that is finished, ``[C, m]``."""
        self._taken += block.shape[1]
        samples = self._to_model.push(block)
        return self._from_model.push(self._each(samples, end=False))

    def flush(self) -> Samples:
        """End the stream and return its remaining speech."""
        last = self._from_model.push(self._each(self._to_model.flush(), end=True))
        return np.concatenate([last, self._from_model.flush(self._taken)], axis=1)

    def _each(self, samples: Samples, end: bool) -> Samples:
        pairs = zip(self._channels, samples, strict=True)
        return np.stack([channel.process(each, end) for channel, each in pairs])


class _Channel:
    """The state of one channel: samples not yet framed, features and spectra not yet used, recurrent states."""

    def __init__(self, networks: Networks) -> None:
        self._networks, self._states = networks, networks.initial()
        self._features = Features()
        self._samples = np.zeros(HOP, np.float32)  # the first frame is half empty
        self._taken = self._given = 0
        self._early = _LOOK_AHEAD  # features that the networks do not get, so that they see the future
        # what the networks get, after the frames of the past that their convolutions read
        self._bands: Samples = np.zeros((CONTEXT["enc"], BANDS), np.float32)
        self._bins: Spectra = np.zeros((CONTEXT["enc"], FILTERED), np.complex64)
        self._encoded: npt.NDArray[np.float32] = np.zeros((1, 64, CONTEXT["df_dec"], FILTERED), np.float32)
        self._spectra: Spectra = np.zeros((_PAST, SIZE // 2 + 1), np.complex64)
        self._half = np.zeros(HOP, np.float32)
        self._skip = HOP  # the output begins in the second half of the first frame

    def process(self, samples: Samples, end: bool) -> Samples:
        """Take samples ``[n]`` and return the finished ones; all that remain at the end of the stream."""
        self._taken += len(samples)
        self._samples = np.concatenate([self._samples, samples])
        pieces = [np.zeros(0, np.float32)]
        while (len(self._samples) - SIZE) // HOP + 1 >= CHUNK:
            self._add_frames(CHUNK)
            pieces.append(self._next())
        if end:
            self._samples = np.pad(self._samples, (0, SIZE + -len(self._samples) % HOP))
            self._add_frames((len(self._samples) - SIZE) // HOP + 1)
            zeros = ((0, _LOOK_AHEAD), (0, 0))
            self._bands, self._bins = np.pad(self._bands, zeros), np.pad(self._bins, zeros)
            self._spectra = np.pad(self._spectra, zeros)
            pieces.append(self._next())
        speech = np.concatenate(pieces)
        if end:
            speech = speech[: self._taken - self._given]
        self._given += len(speech)
        return speech

    def _add_frames(self, count: int) -> None:
        spectra = analyze(sliding_window_view(self._samples, SIZE)[::HOP][:count])
        self._samples = self._samples[count * HOP :]
        bands, bins = self._features.next(spectra)
        early = min(self._early, count)
        self._early -= early
        self._bands = np.concatenate([self._bands, bands[early:]])
        self._bins = np.concatenate([self._bins, bins[early:]])
        self._spectra = np.concatenate([self._spectra, spectra])

    def _next(self) -> Samples:
        """Process the frames whose future is known."""
        count = len(self._bands) - CONTEXT["enc"]
        if count <= 0:
            return np.zeros(0, np.float32)
        gains, filters = self._predict()
        self._bands, self._bins = self._bands[count:], self._bins[count:]
        speech = self._spectra[_PAST : _PAST + count] * gains[:, BAND_OF_BIN]
        lowest = self._spectra[:, :FILTERED]
        speech[:, :FILTERED] = sum(lowest[tap : tap + count] * filters[:, :, tap] for tap in range(_TAPS))
        self._spectra = self._spectra[count:]
        frames = synthesize(speech)
        starts = np.concatenate([self._half[None], frames[:-1, HOP:]])
        self._half = frames[-1, HOP:]
        samples: Samples = (frames[:, :HOP] + starts).reshape(-1)
        skip = min(self._skip, len(samples))
        self._skip -= skip
        return samples[skip:]

    def _predict(self) -> tuple[Samples, Spectra]:
        """Return the gains of the bands ``[T, 32]`` and the filters of the lowest bins ``[T, 96, 5]``."""
        run, states = self._networks.run, self._states
        bins = np.stack([self._bins.real, self._bins.imag])[None]
        encoded = run("enc", {"feat_erb": self._bands[None, None], "feat_spec": bins}, states)
        skips = {name: encoded[name] for name in ("emb", "e3", "e2", "e1", "e0")}
        gains = run("erb_dec", skips, states)["m"][0, 0]
        wide = np.concatenate([self._encoded, encoded["c0"]], axis=2)
        self._encoded = wide[:, :, -CONTEXT["df_dec"] :]
        parts = run("df_dec", {"emb": encoded["emb"], "c0": wide}, states)["coefs"]
        parts = parts.reshape(len(gains), FILTERED, _TAPS, 2)
        return gains, (parts[..., 0] + 1j * parts[..., 1]).astype(np.complex64)
