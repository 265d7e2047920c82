"""Text to speech in a file."""

import functools
import re
import time
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, cast

import numpy as np
import numpy.typing as npt

from stemsplitter.audio.encode import StemWriter
from stemsplitter.audio.formats import OutputFormat
from stemsplitter.audio.mixing import resampled
from stemsplitter.catalogue.store import ModelStore
from stemsplitter.effects import Limiter, PitchShift, apply
from stemsplitter.errors import ModelError, RequestError
from stemsplitter.languages import marked
from stemsplitter.library import Progress
from stemsplitter.library.results import OnProgress
from stemsplitter.speech import Kokoro, KokoroVoice
from stemsplitter.spelling import unknown

Samples = npt.NDArray[np.float32]

LONGEST_TEXT = 100_000  # characters
SLOWEST, FASTEST = 0.5, 2.0
CHARACTERS_PER_SECOND = 15  # on average
NOTHING_TO_SPEAK = "The text has nothing to be spoken: give words in English."
# the voice has no word for a number of more than 36 digits
_LONG_NUMBER = re.compile(r"\d(?:,?\d){30,}")
_LONG_WORD = re.compile(r"[^\W\d_]{101,}")
_SEED = 0  # of the breath noise: the same text gives the same file


@dataclass(frozen=True)
class Voice:
    """A voice.

    Attributes:
        name: of no person.
        description: for people.
        styles: its file among the weights of :data:`MODEL`; empty for the small voice, which needs no model.
    """

    name: str
    description: str
    styles: str = ""

    @property
    def is_british(self) -> bool:
        """True if words are pronounced as in British English."""
        return self.styles.startswith("b")


MODEL = "kokoro"
# of the voices of hibari-tts, only the default is in the package: any other would be downloaded at run time
VOICES = (
    Voice("american", marked("American English, female")),
    Voice("american-woman-1", marked("American English, female 1"), "af_heart.bin"),
    Voice("american-woman-2", marked("American English, female 2"), "af_bella.bin"),
    Voice("american-man-1", marked("American English, male 1"), "am_fenrir.bin"),
    Voice("american-man-2", marked("American English, male 2"), "am_michael.bin"),
    Voice("british-woman-1", marked("British English, female 1"), "bf_emma.bin"),
    Voice("british-woman-2", marked("British English, female 2"), "bf_isabella.bin"),
    Voice("british-man-1", marked("British English, male 1"), "bm_fable.bin"),
    Voice("british-man-2", marked("British English, male 2"), "bm_george.bin"),
)


@dataclass(frozen=True)
class Spoken:
    """A written speech: ``samples`` at ``sample_rate``, and the seconds of work."""

    path: Path
    samples: int
    sample_rate: int
    elapsed: float


class Synthesizer(Protocol):
    """Yields the sound of a text, one array ``[n]`` for each sentence."""

    sample_rate: int

    def stream(self, text: str, speed: float, seed: int) -> Iterator[Samples]: ...


def speak(
    text: str,
    path: Path,
    *,
    voice: str = "american",
    speed: float = 1.0,
    semitones: float = 0.0,
    format: str = "wav",
    progress: OnProgress | None = None,
) -> Spoken:
    """Write a spoken text to ``path``, sentence by sentence, without the network.

    Args:
        text: English, up to 100,000 characters.
        path: of the result; a file of that name is replaced.
        voice: name of one of :data:`VOICES`.
        speed: 0.5 to 2.
        semitones: change of the pitch, -12 to 12; the formants stay.
        format: an output format, see ``docs/formats.md``.
        progress: called after each sentence, with an estimate of the fraction.

    Raises:
        RequestError: a parameter is out of range, or the text has nothing to be spoken.
        ModelError: the extra ``speech`` or the model of the voice is not installed.
        OutputError: the file cannot be written.
    """
    fmt = OutputFormat.parse(format)
    check_text(text)
    if not SLOWEST <= speed <= FASTEST:
        raise RequestError(f"A speed of {speed:g} is not possible: choose from {SLOWEST:g} to {FASTEST:g}.")
    started = time.perf_counter()
    synthesizer = load_voice(voice)
    shift = PitchShift(synthesizer.sample_rate, 1, semitones, formants=True)
    rate = fmt.supported_rate(synthesizer.sample_rate)
    blocks = (wave[None].astype(np.float32) for wave in synthesizer.stream(_readable(text), speed, _SEED))
    shifted = apply(shift, blocks) if semitones else blocks
    limited = apply(Limiter(1, fmt.headroom), resampled(shifted, synthesizer.sample_rate, rate, 1))
    with StemWriter(path, fmt, rate, 1) as writer:
        for block in limited:
            writer.write(np.ascontiguousarray(block))
            if progress is not None:
                expected = len(text) / (CHARACTERS_PER_SECOND * speed)
                progress(Progress.so_far(writer.samples / rate, expected, started))
        if not writer.samples:
            raise RequestError(NOTHING_TO_SPEAK)
        writer.commit()
    return Spoken(path, writer.samples, rate, time.perf_counter() - started)


def check_text(text: str) -> None:
    """Check a text before it is spoken.

    Raises:
        RequestError: it is too long, has no letter and no digit, has a word that no one can say, or is written in
            another script.
    """
    if len(text) > LONGEST_TEXT:
        raise RequestError(
            f"The text has {len(text):,} characters: shorten it to {LONGEST_TEXT:,}, or split it."
        )
    if not any(character.isalnum() for character in text):
        raise RequestError(NOTHING_TO_SPEAK)
    if word := _LONG_WORD.search(text):
        raise RequestError(
            f"A word of the text has {len(word[0]):,} letters: shorten it, or divide it with spaces."
        )
    letters = [character for character in text if character.isalpha()]
    if sum(map(_is_latin, letters)) < len(letters) / 2:
        raise RequestError(
            "The text is in another script, which the voices cannot read: give words in English."
        )


def _is_latin(letter: str) -> bool:
    return letter.isascii() or unicodedata.name(letter, "").startswith("LATIN")


def _readable(text: str) -> str:
    """Return the text with spaces between the digits of very long numbers, which are spoken one by one."""
    return _LONG_NUMBER.sub(lambda number: " ".join(number[0].replace(",", "")), text)


def find_voice(name: str) -> Voice:
    """Return a voice. Raises RequestError if there is none of that name."""
    for voice in VOICES:
        if voice.name == name:
            return voice
    raise RequestError(unknown("voice", name, [voice.name for voice in VOICES]))


def usable_voices(store: ModelStore) -> list[Voice]:
    """Return the voices whose weights are installed."""
    return [voice for voice in VOICES if not voice.styles or store.is_ready(MODEL)]


@functools.cache
def load_voice(name: str) -> Synthesizer:
    """Load a voice, once in a process.

    Raises:
        RequestError: there is no such voice.
        ModelError: the extra ``speech`` or the model of the voice is not installed.
    """
    voice = find_voice(name)
    try:
        from hibari import Hibari
        from hibari.g2p import G2P
    except ImportError as error:
        raise ModelError(
            "Speech needs an optional package: run `pip install 'stemsplitter[speech]'`."
        ) from error
    if not voice.styles:
        small: Any = Hibari()
        return cast("Synthesizer", small)
    files = {path.name: path for path in ModelStore().weights(MODEL)}
    reader: Any = Hibari(g2p=G2P(british=voice.is_british))  # hibari's phonemes are those of Kokoro

    def tokens(text: str) -> Iterator[list[int]]:
        return (reader.ids(phonemes) for phonemes in reader.phonemize(text))

    return KokoroVoice(_load_network(), files[voice.styles], tokens)


@functools.cache
def _load_network() -> Kokoro:
    return Kokoro([path for path in ModelStore().weights(MODEL) if ".onnx." in path.name])
