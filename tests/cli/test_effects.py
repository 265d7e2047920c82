"""The commands `pitch`, `speed` and `slowed-reverb`."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from typer.testing import CliRunner

from stemsplitter.cli.main import app
from stemsplitter.errors import OutputError, RequestError


@pytest.fixture
def song(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A song of 0.5 s in the current folder."""
    monkeypatch.chdir(tmp_path)
    samples = np.random.default_rng(0).standard_normal((11_025, 2)) * 0.1
    soundfile.write("song.wav", samples, 22_050)
    return Path("song.wav")


def run(*arguments: object) -> str:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.stdout


def test_pitch_of_a_whole_song(song: Path) -> None:
    printed = run("pitch", song, "--semitones", "2.5", "--whole")
    assert printed.startswith("song.wav: +2.5 semitones, as a whole, 0.5 s of audio in ")
    assert soundfile.info("song (+2.5 semitones).wav").frames == 11_025


def test_pitch_with_a_drums_stem_says_so(song: Path) -> None:
    soundfile.write("drums.wav", soundfile.read(song)[0], 22_050)
    printed = run("pitch", song, "--semitones", -3, "--formants", "--drums", "drums.wav", "-o", "low.flac")
    assert "-3 semitones, drums and rest apart, 0.5 s of audio" in printed
    assert soundfile.info("low.flac").format == "FLAC"


def test_pitch_separates_the_drums(song: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Toy:
        models = ()
        device = "cpu (toy)"

        def __init__(self, **options: Any) -> None:
            assert options == {"stems": "drums"}

        def separate_to(self, source: str, folder: Path, **_: Any) -> Any:
            soundfile.write(folder / "drums.wav", soundfile.read(source)[0] / 2, 22_050, subtype="FLOAT")
            return type("Files", (), {"files": [type("File", (), {"path": folder / "drums.wav"})]})

    monkeypatch.setattr("stemsplitter.library.Separator", Toy)
    done = json.loads(run("pitch", song, "--semitones", 1, "--json"))
    assert done["drums_apart"] is True
    assert done["samples"] == 11_025


def test_speed_by_preset_and_by_rate(song: Path) -> None:
    run("speed", song, "--preset", "nightcore")
    assert soundfile.info("song (1.25x).wav").frames == 8820
    Path("out").mkdir()
    run("speed", song, "--rate", 0.5, "--keep-pitch", "--whole", "-o", "out", "--format", "wav16")
    assert soundfile.info("out/song (0.5x).wav").frames == 22_050


def test_slowed_reverb_adds_a_tail(song: Path) -> None:
    done = json.loads(run("slowed-reverb", song, "--preset", 0.8, "--decay", 1, "--wet", 40, "--json"))
    assert done["change"] == "slowed 0.8x + reverb"
    assert done["samples"] > 13_781 + 22_050
    assert Path(done["path"]).exists()


def test_existing_file_is_kept_unless_overwritten(song: Path) -> None:
    Path("out.wav").write_bytes(b"mine")
    with pytest.raises(OutputError, match=r"out\.wav exists: add --overwrite"):
        run("speed", song, "--rate", 2, "-o", "out.wav")
    assert Path("out.wav").read_bytes() == b"mine"
    run("speed", song, "--rate", 2, "-o", "out.wav", "--overwrite")
    assert soundfile.info("out.wav").frames == 5512
    with pytest.raises(OutputError, match="would replace"):
        run("speed", song, "--rate", 2, "-o", "song.wav", "--overwrite")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["speed"], "give either --preset or --rate"),
        (["speed", "--preset", "nightcore", "--rate", "2"], "give either --preset or --rate"),
        (["speed", "--preset", "fast"], "Unknown preset fast: choose from nightcore"),
        (["speed", "--rate", "9"], "choose one from 0.25 to 4"),
        (["pitch", "--semitones", "40"], "choose from -12 to 12"),
        (["slowed-reverb", "--wet", "140"], "choose from 0 to 100"),
        (["speed", "--rate", "2", "-o", "a.xyz"], "xyz"),
    ],
)
def test_invalid_options_are_refused(song: Path, arguments: list[str], message: str) -> None:
    command, *options = arguments
    with pytest.raises(RequestError, match=message):
        run(command, song, *options)
    assert [path.name for path in Path().iterdir()] == ["song.wav"]
