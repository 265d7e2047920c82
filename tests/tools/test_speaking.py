"""Speech with a toy voice; the package of the real one is an extra."""

import json
import sys
from collections.abc import Iterator
from difflib import SequenceMatcher
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile
import soxr
from pocketsphinx import Decoder
from typer.testing import CliRunner

from stemsplitter.cli.main import app
from stemsplitter.errors import ModelError, OutputError, RequestError
from stemsplitter.tools.speaking import LONGEST_TEXT, check_text, load_voice, speak


class Toy:
    """Speaks 0.1 s for each letter."""

    sample_rate = 24_000

    def stream(self, text: str, speed: float, seed: int) -> Iterator[np.ndarray]:
        for sentence in text.split("."):
            letters = sum(letter.isalpha() for letter in sentence)
            yield np.full(int(2400 * letters / speed), 0.1, np.float32)


@pytest.fixture(autouse=True)
def no_loaded_voice() -> Iterator[None]:
    load_voice.cache_clear()
    yield
    load_voice.cache_clear()


@pytest.fixture
def voice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "hibari", SimpleNamespace(Hibari=Toy))
    monkeypatch.setitem(sys.modules, "hibari.g2p", SimpleNamespace(G2P=None))


@pytest.mark.usefixtures("voice")
def test_length_follows_text_and_speed_and_not_the_pitch(tmp_path: Path) -> None:
    for options, samples in (({}, 24_000), ({"speed": 2.0}, 12_000), ({"semitones": -4.0}, 24_000)):
        done = speak("hello. world", tmp_path / "a.wav", **options)  # type: ignore[arg-type]
        assert (done.samples, done.sample_rate) == (samples, 24_000)
        assert soundfile.info(done.path).frames == samples


@pytest.mark.usefixtures("voice")
@pytest.mark.parametrize("format", ["flac", "mp3", "opus"])
def test_every_format_is_written(tmp_path: Path, format: str) -> None:
    done = speak("hello", tmp_path / f"a.{format}", format=format)
    assert done.samples == done.sample_rate // 2


@pytest.mark.usefixtures("voice")
@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        ("", {}, "nothing to be spoken"),
        ("🎉🎉", {}, "nothing to be spoken"),
        ("a" * (LONGEST_TEXT + 1), {}, "shorten it"),
        ("so " + "a" * 90_000, {}, "A word of the text has 90,000 letters"),
        ("你好，世界", {}, "in another script"),
        ("Привет мир, hi", {}, "in another script"),
        ("hello", {"speed": 3.0}, "choose from 0.5 to 2"),
        ("hello", {"semitones": 13.0}, "choose from -12 to 12"),
        ("hello", {"voice": "emma"}, "Unknown voice emma: choose from american, american-woman-1, "),
        ("hello", {"format": "xyz"}, "xyz"),
    ],
)
def test_invalid_requests_write_nothing(tmp_path: Path, text: str, options: dict, message: str) -> None:
    with pytest.raises(RequestError, match=message):
        speak(text, tmp_path / "a.wav", **options)
    assert not (tmp_path / "a.wav").exists()


@pytest.mark.parametrize("text", ["Déjà vu, Łódź", "🎉 party 🎉", "one word in 日本", "42", "a-" * 200])
def test_texts_with_some_other_signs_are_accepted(text: str) -> None:
    check_text(text)


def test_missing_package_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "hibari", None)
    with pytest.raises(ModelError, match=r"pip install 'stemsplitter\[speech\]'"):
        speak("hello", tmp_path / "a.wav")


def test_listener_hears_the_text(tmp_path: Path) -> None:
    """A recognizer of any English text hears the words, and each word is found where it is spoken."""
    text = "she opened the window and looked at the quiet river before the sun came up"
    done = speak(f"{text}.", tmp_path / "a.wav")
    sound, rate = soundfile.read(done.path, dtype="float32")
    spoken = (soxr.resample(sound, rate, 16_000) * 32_767).astype("<i2").tobytes()
    heard, _ = recognize(Decoder(loglevel="FATAL"), spoken)
    same = SequenceMatcher(None, text.split(), heard.split()).get_matching_blocks()
    assert sum(block.size for block in same) >= 13  # of 15 words
    aligner = Decoder(lm=None, loglevel="FATAL")
    aligner.set_align_text(text)
    found, words = recognize(aligner, spoken)
    assert (
        text.startswith(found) and len(words) >= 14
    )  # the aligner may drop the last word, which ends the recording
    for word, seconds in words:
        letters = len(word)
        assert 0.02 * letters < seconds < 0.15 * letters + 0.15, word
    other = "the market closes early on sunday so buy some bread and a bottle of milk today"
    aligner.set_align_text(other)
    assert not other.startswith(recognize(aligner, spoken)[0] or "nothing")


def recognize(decoder: Decoder, samples: bytes) -> tuple[str, list[tuple[str, float]]]:
    """Return the words of a recording at 16 kHz, in one string and with their durations in seconds."""
    decoder.start_utt()
    decoder.process_raw(samples, full_utt=True)
    decoder.end_utt()
    words = [
        (each.word.partition("(")[0], (each.end_frame - each.start_frame + 1) / 100)
        for each in decoder.seg() or ()
        if each.word[0] != "<"
    ]
    return " ".join(word for word, _ in words), words


@pytest.mark.parametrize("text", ["9" * 40, "$" + "1," * 60 + "1", "1" + "0" * 300 + "%", "٣" * 50])
def test_digits_of_a_very_long_number_are_spoken(tmp_path: Path, text: str) -> None:
    pytest.importorskip("hibari")
    assert speak(text, tmp_path / "a.wav", speed=2.0).samples > 40 * 24_000 * 0.05


@pytest.mark.usefixtures("voice")
def test_command(tmp_path: Path) -> None:
    path = tmp_path / "a.mp3"
    done = CliRunner().invoke(app, ["speak", "-", "-o", str(path)], input="hello world")
    assert done.exit_code == 0 and done.stdout.startswith("1.0 s of speech in ")
    assert isinstance(CliRunner().invoke(app, ["speak", "hello", "-o", str(path)]).exception, OutputError)
    voices = json.loads(CliRunner().invoke(app, ["speak", "--list-voices", "--json"]).stdout)
    assert voices[0] == {"name": "american", "voice": "American English, female", "ready": "yes"}
    assert isinstance(CliRunner().invoke(app, ["speak"]).exception, RequestError)
    wrong = CliRunner().invoke(app, ["speak", "-", "-o", str(tmp_path / "b.mp3")], input=b"caf\xe9")
    assert isinstance(wrong.exception, RequestError) and "is not UTF-8" in str(wrong.exception)
