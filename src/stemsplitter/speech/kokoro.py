"""Kokoro, a network that speaks phonemes in many voices (https://huggingface.co/hexgrad/Kokoro-82M)."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from stemsplitter.errors import ModelError

Samples = npt.NDArray[np.float32]
Tokens = Callable[[str], Iterable[Sequence[int]]]
"""Returns the phonemes of each sentence of a text, as numbers of Kokoro's vocabulary between two zeros."""

STYLE = 256  # numbers of a style
LONGEST = 510  # phonemes of a sentence; a voice has a style for each length
_FATAL = 4


class Kokoro:
    """The network, for any number of voices, on ONNX Runtime, which needs a fifth of the memory of OpenVINO here.

    Args:
        parts: the ONNX file, cut into parts.
        threads: of the CPU.

    Raises:
        ModelError: the parts are not that network.
    """

    def __init__(self, parts: Sequence[Path], threads: int = 1) -> None:
        import onnxruntime  # comes with the extra `speech`

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.log_severity_level = threads, _FATAL
        try:
            network = b"".join(part.read_bytes() for part in parts)
            self._session = onnxruntime.InferenceSession(network, options, ["CPUExecutionProvider"])
        except Exception as error:  # the classes of its errors are private
            raise ModelError("The weights of Kokoro cannot be loaded: pull it again.") from error

    def speak(self, tokens: Sequence[int], style: Samples, speed: float) -> Samples:
        """Return the sound of phonemes ``[n]`` at 24 kHz; ``style`` is ``[1, 256]``."""
        inputs = {
            "tokens": np.array([tokens], np.int64),
            "style": style,
            "speed": np.array([speed], np.float32),
        }
        return np.asarray(self._session.run(None, inputs)[0], np.float32).reshape(-1)


class KokoroVoice:
    """A voice of Kokoro.

    Args:
        network: shared by all voices.
        styles: the voice's file, a style for each number of phonemes.
        tokens: see :data:`Tokens`.

    Raises:
        ModelError: the file is not a voice.
    """

    sample_rate = 24_000

    def __init__(self, network: Kokoro, styles: Path, tokens: Tokens) -> None:
        self._network, self._tokens = network, tokens
        try:
            self._styles = np.fromfile(styles, "<f4").reshape(LONGEST, 1, STYLE)
        except (OSError, ValueError) as error:
            raise ModelError(f"{styles.name} cannot be loaded as a voice: pull it again.") from error

    def stream(self, text: str, speed: float, seed: int) -> Iterator[Samples]:
        """Yield the sound of a text, one array ``[n]`` for each sentence; the network draws nothing at random."""
        for tokens in self._tokens(text):
            count = len(tokens) - 2
            if count > 0:
                yield self._network.speak(tokens, self._styles[min(count, LONGEST - 1)], speed)
