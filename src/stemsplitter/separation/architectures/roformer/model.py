"""BS-RoFormer and Mel-Band RoFormer on waveforms."""

import numpy as np
from numpy.typing import NDArray

from stemsplitter.checkpoints.states import open_state
from stemsplitter.separation.architectures import ModelFiles
from stemsplitter.separation.architectures.msst import OVERLAP, SAMPLE_RATE, add_rest
from stemsplitter.separation.architectures.roformer.network import VALUES, RoFormer
from stemsplitter.separation.architectures.roformer.settings import RoFormerSettings, read_shape
from stemsplitter.separation.runtimes import Runtime
from stemsplitter.separation.segments import trapezoid
from stemsplitter.separation.stft import CenteredStft, Spectrum, Stft


class RoFormerModel:
    """A RoFormer of any size; only the parameters of the heads in use are read.

    The network does not depend on the level of its input, so a configuration's ``normalize`` makes no difference.

    Raises:
        ModelError: the file is not a checkpoint of a RoFormer, or does not match the settings.
    """

    sample_rate = SAMPLE_RATE
    reflect = True
    notes: tuple[str, ...] = ()

    def __init__(self, runtime: Runtime, files: ModelFiles) -> None:
        (weights,) = files.weights
        runtime = runtime.for_large_networks()
        self._settings = settings = RoFormerSettings.parse(files.settings)
        self.stems = files.stems
        self.segment = settings.segment
        self.hop = int((1 - OVERLAP) * self.segment)
        self.window = trapezoid(self.segment)
        self.concurrency = runtime.concurrency
        self.device = runtime.device
        self._stft = CenteredStft(Stft(settings.stft_n_fft, settings.stft_hop_length), self.segment)
        state = open_state(weights)
        shape = read_shape(state, settings)
        values = VALUES * (settings.stft_n_fft // 2 + 1)
        self._network = runtime.compile(
            lambda: RoFormer(shape, state, settings.heads),
            {"spectrogram": (1, self._stft.frames, values)},
            files.cache / "-".join((weights.stem, *map(str, settings.heads))),
        )

    def separate(self, mixture: NDArray[np.float32]) -> NDArray[np.float32]:
        spectrum = self._stft.forward(mixture)
        values = np.ascontiguousarray(spectrum.transpose(1, 2, 0)).view(np.float32)
        (masks,) = self._network(values.reshape(1, len(values), -1))
        masks = masks[0].view(np.complex64).reshape(masks.shape[1], *values.shape[:2], 2)

        def rows(channel: int, block: slice) -> Spectrum:
            head, side = divmod(channel, 2)
            masked: Spectrum = masks[head, block, :, side] * spectrum[side, block]
            if self._settings.zero_dc:
                masked[:, 0] = 0
            return masked

        stems = self._stft.inverse_of(rows, 2 * len(masks))
        return add_rest(stems.reshape(len(masks), *mixture.shape), mixture, len(self.stems))
