"""The command `analyze`."""

import json
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile
from typer.testing import CliRunner

from stemsplitter.cli.main import app
from stemsplitter.errors import RequestError
from stemsplitter.jobs.schemas import AnalysisView

RATE = 22_050


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with an A major chord that is struck twice a second, and with silence."""
    time = np.arange(RATE // 2) / RATE
    chord = sum(np.sin(2 * np.pi * 440 * 2 ** (note / 12) * time) for note in (-12, 0, 4, 7)) * np.exp(
        -6 * time
    )
    soundfile.write(tmp_path / "chord.wav", np.tile(0.1 * chord, 24), RATE)
    soundfile.write(tmp_path / "silence.wav", np.zeros(RATE), RATE)
    return tmp_path


def test_folder_as_a_table(folder: Path) -> None:
    done = CliRunner().invoke(app, ["analyze", str(folder)])
    assert done.exit_code == 0
    header, chord, silence = done.stdout.splitlines()
    assert header.split() == ["song", "length", "bpm", "or", "key", "camelot", "or", "key", "tuning"]
    assert chord.split()[:5] == ["chord.wav", "12.0", "s", "120.0", "60.0"]
    assert "A major" in chord and "11B" in chord
    assert silence.split() == ["silence.wav", "1.0", "s", "none", "no", "clear", "key"]


def test_json_has_all_fields(folder: Path) -> None:
    done = CliRunner().invoke(app, ["analyze", str(folder / "chord.wav"), "--json"])
    song = json.loads(done.stdout)
    assert list(song) == ["durationSeconds", "warnings", "tuningCents", "tempo", "key", "chords"]
    assert AnalysisView.model_validate(song).model_dump(by_alias=True) == {
        name: value for name, value in song.items() if name not in ("durationSeconds", "warnings")
    }
    assert (song["durationSeconds"], song["key"]["name"]) == (12, "A major")
    assert song["key"]["compatible"] == ["10B", "12B", "11A"]
    assert song["tempo"]["bpm"] == pytest.approx(120, rel=0.01)
    assert len(song["tempo"]["beats"]) > 18
    assert abs(song["tuningCents"]) < 2


def test_json_of_several_songs_is_a_list_with_files(folder: Path) -> None:
    done = CliRunner().invoke(app, ["analyze", str(folder), "--json"])
    chord, silence = json.loads(done.stdout)
    assert (chord["file"], chord["key"]["camelot"]) == (str(folder / "chord.wav"), "11B")
    assert silence == {
        "file": str(folder / "silence.wav"),
        "durationSeconds": 1,
        "warnings": [],
        "tuningCents": None,
        "tempo": None,
        "key": None,
        "chords": [],
    }
    failed = CliRunner().invoke(app, ["analyze", str(folder / "none.wav"), "--json"])
    assert (failed.exit_code, json.loads(failed.stdout)) == (1, [])


def test_file_that_is_cut_short_is_analyzed_with_a_warning(folder: Path) -> None:
    whole = (folder / "chord.wav").read_bytes()
    cut = folder / "cut.wav"
    cut.write_bytes(whole[: len(whole) // 2])
    warning = "The file ends after 6 s although its header states 6 s more; it may be cut short."
    done = CliRunner().invoke(app, ["analyze", str(cut)])
    assert done.exit_code == 0 and "A major" in done.stdout
    assert f"warning: cut.wav: {warning}" in done.stderr
    done = CliRunner().invoke(app, ["analyze", str(cut), "--json"])
    assert json.loads(done.stdout)["warnings"] == [warning]


def test_tags_are_written_to_copies(folder: Path) -> None:
    copies = folder / "copies"
    command = ["analyze", str(folder), "--tag", str(copies)]
    before = (folder / "chord.wav").read_bytes()
    assert CliRunner().invoke(app, command).exit_code == 0
    with av.open(str(copies / "chord.wav")) as copy:
        assert {name.lower(): text for name, text in copy.metadata.items()} == {
            "tbpm": "120",
            "tkey": "A",
        }
    assert sorted(path.name for path in copies.iterdir()) == ["chord.wav", "silence.wav"]
    assert (folder / "chord.wav").read_bytes() == before
    again = CliRunner().invoke(app, command)
    assert again.exit_code == 1 and again.stderr.count("add --overwrite to replace it") == 2
    assert CliRunner().invoke(app, [*command, "--overwrite"]).exit_code == 0
    onto_itself = CliRunner().invoke(
        app, ["analyze", str(folder / "chord.wav"), "--overwrite", "--tag", str(folder)]
    )
    assert onto_itself.exit_code == 1 and (folder / "chord.wav").read_bytes() == before


def test_failed_song_does_not_stop_the_others(folder: Path) -> None:
    (folder / "text.wav").write_text("not a song")
    done = CliRunner().invoke(app, ["analyze", str(folder)])
    assert done.exit_code == 1
    assert "error: text.wav is not audio that can be read" in done.stderr
    assert "chord.wav" in done.stdout


def test_drums_belong_to_one_song(folder: Path) -> None:
    done = CliRunner().invoke(app, ["analyze", str(folder), "--drums", str(folder / "chord.wav")])
    assert isinstance(done.exception, RequestError)
    song = str(folder / "chord.wav")
    assert CliRunner().invoke(app, ["analyze", song, "--drums", song]).exit_code == 0
