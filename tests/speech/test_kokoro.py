"""Voices of Kokoro: each sentence with the style of its length. The network is a toy, but for the last test."""

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import soundfile

from stemsplitter.catalogue.entries import load_tools
from stemsplitter.catalogue.store import ModelStore
from stemsplitter.errors import ModelError
from stemsplitter.speech import Kokoro, KokoroVoice
from stemsplitter.tools import speaking


class Session:
    """Returns as many samples as there are phonemes, all of them the first number of the style times the speed."""

    def __init__(self, network: bytes, options: Any, providers: list[str]) -> None:
        if network != b"onnx":
            raise RuntimeError("no ONNX")

    def run(self, _: None, inputs: dict[str, np.ndarray]) -> list[np.ndarray]:
        assert inputs["tokens"].dtype == np.int64 and inputs["style"].shape == (1, 256)
        return [np.full(inputs["tokens"].shape[1], inputs["style"][0, 0] * inputs["speed"][0], np.float32)]


@pytest.fixture
def parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    runtime = SimpleNamespace(SessionOptions=SimpleNamespace, InferenceSession=Session)
    monkeypatch.setitem(sys.modules, "onnxruntime", runtime)
    for number, content in enumerate((b"on", b"nx")):
        (tmp_path / f"part{number}").write_bytes(content)
    return [tmp_path / "part0", tmp_path / "part1"]


def test_each_sentence_has_the_style_of_its_length(parts: list[Path], tmp_path: Path) -> None:
    styles = np.zeros((510, 1, 256), "<f4")
    styles[:, 0, 0] = np.arange(510)
    styles.tofile(tmp_path / "voice.bin")
    sentences = {"a b": [[0, 5, 6, 7, 0], [0, 0], [0, *[1] * 600, 0]]}
    voice = KokoroVoice(Kokoro(parts), tmp_path / "voice.bin", sentences.__getitem__)
    made = list(voice.stream("a b", 2.0, 0))
    assert [len(wave) for wave in made] == [5, 602]
    assert [wave[0] for wave in made] == [6.0, 1018.0]


def test_damaged_files_are_told(parts: list[Path], tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="Kokoro cannot be loaded"):
        Kokoro(parts[:1])
    (tmp_path / "voice.bin").write_bytes(bytes(100))
    with pytest.raises(ModelError, match=r"voice\.bin cannot be loaded as a voice"):
        KokoroVoice(Kokoro(parts), tmp_path / "voice.bin", lambda _: [])


def test_every_large_voice_is_a_file_of_the_model() -> None:
    (entry,) = (tool for tool in load_tools() if tool.name == speaking.MODEL)
    files = {weight.name for weight in entry.weights}
    voices = {voice.styles for voice in speaking.VOICES if voice.styles}
    assert voices == {name for name in files if name.endswith(".bin")}
    assert sorted(files - voices) == [f"kokoro.onnx.{number}" for number in range(1, 5)]
    assert {voice.name.split("-")[0] for voice in speaking.VOICES if voice.is_british} == {"british"}


def test_voice_without_its_model_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STEMSPLITTER_CACHE_DIR", str(tmp_path))
    pytest.importorskip("hibari")
    with pytest.raises(ModelError, match="models pull kokoro"):
        speaking.speak("hello", tmp_path / "a.wav", voice="british-man-1")
    assert not (tmp_path / "a.wav").exists()


def test_large_voice_speaks(tmp_path: Path) -> None:
    if not ModelStore().is_ready(speaking.MODEL):
        pytest.skip("the weights are not installed: stemsplitter models pull kokoro")
    done = speaking.speak("She opened the window.", tmp_path / "a.wav", voice="american-man-1")
    sound, rate = soundfile.read(done.path)
    assert 0.8 < len(sound) / rate < 3 and np.abs(sound).max() > 0.1
