"""The command `split` with a toy model; tests/acceptance runs the real one."""

import hashlib
import json
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from typer.testing import CliRunner

from stemsplitter.audio.encode import StemWriter
from stemsplitter.audio.formats import OutputFormat
from stemsplitter.catalogue.entries import ModelEntry
from stemsplitter.catalogue.store import ModelStore
from stemsplitter.cli import batch
from stemsplitter.cli.main import app
from stemsplitter.errors import ModelError, OutputError, RequestError
from stemsplitter.library import separator
from stemsplitter.separation.layouts import LAYOUTS, SIX_STEMS

STEMS = Path("stems")


class ToyModel:
    """Returns equal stems. Fails for songs that begin with the sample `poison`."""

    stems: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    sample_rate, segment, hop, concurrency, device = 44_100, 4_096, 4_096, 1, "cpu (toy)"
    window = np.ones(4_096, np.float32)
    reflect = False
    poison: float | None = None

    def separate(self, mixture: Any) -> Any:
        if self.poison is not None and np.isclose(mixture[0, 0], self.poison):
            raise ZeroDivisionError("a fault of the program")
        return np.stack([mixture / len(self.stems)] * len(self.stems))

    def loaded(self, entry: ModelEntry, *_: object) -> "ToyModel":
        self.stems = entry.stems
        return self


@pytest.fixture
def toy(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[ToyModel]:
    """The command in an empty folder, with installed weights and the toy model."""
    model = ToyModel()
    monkeypatch.setattr("stemsplitter.catalogue.opening.load_model", model.loaded)
    monkeypatch.setattr(ModelStore, "is_ready", lambda *_: True)
    monkeypatch.setenv("STEMSPLITTER_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("STEMSPLITTER_OFFLINE", "1")
    monkeypatch.chdir(tmp_path)
    level = logging.getLogger("stemsplitter").level
    yield model
    logging.getLogger("stemsplitter").setLevel(level)


def write(path: Path, value: float = 0.25, samples: int = 4_096) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with StemWriter(path, OutputFormat.parse("wav32f"), 44_100, 2) as writer:
        writer.write(np.full((2, samples), value, np.float32))
        writer.commit()
    return path


def run(*arguments: str) -> Any:
    return CliRunner().invoke(app, ["split", *arguments])


def touch(*paths: str) -> None:
    for name in paths:
        path = Path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


# --- a run ---


def test_batch_continues_after_missing_song(toy: ToyModel) -> None:
    write(Path("a.wav"))
    write(Path("b.wav"))
    done = run("a.wav", "gone.wav", "b.wav")
    assert done.exit_code == 1
    assert done.stdout.splitlines()[-1] == "2 of 3 songs separated, 1 failed."
    assert sorted(str(path) for path in STEMS.rglob("*.wav")) == [
        f"stems/{song}/{stem}.wav" for song in "ab" for stem in sorted(SIX_STEMS)
    ]


def test_unexpected_error_does_not_end_batch(toy: ToyModel, caplog: pytest.LogCaptureFixture) -> None:
    toy.poison = 0.75
    write(Path("a.wav"))
    write(Path("bad.wav"), value=0.75)
    write(Path("c.wav"))
    done = CliRunner().invoke(app, ["--verbose", "split", "a.wav", "bad.wav", "c.wav"])
    assert done.exit_code == 1
    assert "2 of 3 songs separated" in done.stdout and "Traceback" not in done.stderr
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert "bad.wav" in line and "(ZeroDivisionError)" in line and "--verbose" in line
    assert "a fault of the program" in caplog.text
    assert not (STEMS / "bad").exists()


@pytest.mark.parametrize(
    "option",
    [
        ["--format", "xm"],
        ["--rate", "1"],
        ["--stems", "choir"],
        ["--without", "choir"],
        ["--instruments", "choir"],
        ["--device", "abacus"],
        ["--overlap", "1"],
        ["--shifts", "-1"],
        ["--duration", "0"],
        ["--filename", "{x}"],
    ],
)
def test_invalid_option_is_reported_before_download(
    option: list[str], toy: ToyModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ModelStore, "pull", lambda *_: pytest.fail("it was fetched"))
    done = run("a.wav", *option)
    assert isinstance(done.exception, RequestError) and done.stdout == ""


def test_invalid_request_ends_batch(toy: ToyModel) -> None:
    write(Path("a.wav"))
    write(Path("b.wav"))
    done = run("a.wav", "b.wav", "--format", "stem.mp4")
    assert isinstance(done.exception, RequestError)
    assert "b.wav" not in done.stderr and not STEMS.exists()


def test_row_7_repeated_stems_options_are_combined(toy: ToyModel) -> None:
    write(Path("Lied.wav"))
    done = run("Lied.wav", "--stems", "vocals", "--stems", "drums,bass")
    assert done.exit_code == 0
    assert sorted(path.stem for path in (STEMS / "Lied").iterdir()) == ["bass", "drums", "vocals"]


def test_the_song_without_a_stem_is_written(toy: ToyModel) -> None:
    write(Path("Lied.wav"))
    result = run("Lied.wav", "--without", "drums", "--stems", "vocals", "--without", "Bass")
    assert result.exit_code == 0
    assert sorted(path.name for path in Path("stems/Lied").iterdir()) == [
        "no_bass.wav",
        "no_drums.wav",
        "vocals.wav",
    ]


def test_stems_of_absent_instruments_are_silent(toy: ToyModel) -> None:
    write(Path("Lied.wav"))
    done = run("Lied.wav", "--instruments", "vocals", "--instruments", "drums,bass")
    assert done.exit_code == 0
    heard = {path.stem for path in (STEMS / "Lied").iterdir() if soundfile.read(path)[0].any()}
    assert heard == {"bass", "drums", "vocals"}


def test_row_17_no_files_of_another_format_are_left(toy: ToyModel) -> None:
    write(Path("Lied.wav"))
    for name in ("Lied.zip", "vocals.wav", "drums.mp3", "instrumental.flac", "notes.txt", "demo.wav"):
        touch(f"stems/Lied/{name}")
    done = run("Lied.wav", "--zip", "--verify", "--overwrite")
    assert done.exit_code == 0 and "  stems/Lied/Lied.zip\n" in done.stdout
    sizes = {path.name: path.stat().st_size > 0 for path in (STEMS / "Lied").iterdir()}
    assert sizes == {"Lied.zip": True, "notes.txt": False, "demo.wav": False}
    assert run("Lied.wav", "--stems", "2s", "--format", "flac", "--overwrite").exit_code == 0
    assert names() == ["demo.wav", "instrumental.flac", "notes.txt", "vocals.flac"]


@pytest.mark.parametrize("there", ["vocals.wav", "other.mp3", "Lied.zip", "Lied.stem.mp4"])
def test_row_6_stems_of_earlier_run_are_not_replaced(there: str, toy: ToyModel) -> None:
    write(Path("Lied.wav"))
    write(Path("other.wav"))
    touch(f"stems/Lied/{there}")
    for options in ([], ["--skip-existing"]):
        done = run("Lied.wav", "other.wav", *options)
        assert isinstance(done.exception, RequestError)
        assert str(done.exception) == (
            f"stems/Lied has stems of an earlier run ({there}): add --overwrite to replace them or "
            "--skip-existing to keep the stems that are complete."
        )
    assert names() == [there] and not (STEMS / "other").exists()


def test_row_6_batch_resumes(toy: ToyModel) -> None:
    for song in ("a", "b/a", "b/c"):
        write(Path(f"music/{song}.wav"))
    (Path("music/b/c.wav")).rename("c.wav")
    assert run("music", "--stems", "2s").exit_code == 0
    Path("c.wav").rename("music/b/c.wav")
    before = {path: path.stat().st_mtime_ns for path in STEMS.rglob("*.wav")}
    done = run("music", "--stems", "2s")
    assert "2 songs, the first in stems/a, have stems of an earlier run: " in str(done.exception)
    done = run("music", "--stems", "2s", "--skip-existing")
    assert done.exit_code == 0
    assert done.stdout.splitlines()[:2] == [
        "a.wav: skipped, its stems are in stems/a",
        "a.wav: skipped, its stems are in stems/b/a",
    ]
    assert done.stdout.splitlines()[-1] == "1 of 3 songs separated, 2 skipped."
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert names("b/c") == ["instrumental.wav", "vocals.wav"]
    (STEMS / "a" / "vocals.wav").unlink()
    done = run("music", "--stems", "2s", "--skip-existing", "--overwrite", "--json")
    events = [json.loads(line) for line in done.stdout.splitlines()]
    assert [event["song"] for event in events if event["event"] == "separated"] == ["music/a.wav"]
    assert events[-1] == {"event": "finished", "separated": 1, "skipped": 2, "failed": 0}
    assert names("a") == ["instrumental.wav", "vocals.wav"]


def test_row_6_song_is_never_replaced_by_its_stems(toy: ToyModel) -> None:
    song = write(Path("stems/vocals/vocals.wav"))
    content = song.read_bytes()
    done = run(str(song), "--filename", "{track}/{stem}.{ext}", "--overwrite")
    assert done.exit_code == 1
    assert "error: The stems of vocals.wav would replace it: choose another output folder." in done.stderr
    assert song.read_bytes() == content and names("vocals") == ["vocals.wav"]


def test_row_6_template_names_files(toy: ToyModel) -> None:
    write(Path("music/x/{1}.wav"))
    done = run("music", "--stems", "2s", "--filename", "{stem}/{folder}/{track}.{ext}")
    assert done.exit_code == 0
    files = sorted(str(path) for path in STEMS.rglob("*.wav"))
    assert files == ["stems/instrumental/x/{1}.wav", "stems/vocals/x/{1}.wav"]
    assert done.stdout.splitlines()[1:] == [
        "  stems/vocals/x/{1}.wav",
        "  stems/instrumental/x/{1}.wav",
    ]
    done = run("music", "--zip", "--filename", "{track}.{ext}")
    assert done.exit_code == 0 and (STEMS / "{1}.zip").is_file()


def names(song: str = "Lied") -> list[str]:
    return sorted(path.name for path in (STEMS / song).iterdir())


# --- standard input and output ---


def test_row_18_standard_input_is_separated(toy: ToyModel) -> None:
    data = write(Path("Lied.wav")).read_bytes()
    done = CliRunner().invoke(app, ["split", "-", "--stems", "2s", "--json", "--verify"], input=data)
    assert done.exit_code == 0
    events = [json.loads(line) for line in done.stdout.splitlines()]
    assert {event["song"] for event in events[:-1]} == {"stdin"}
    assert names("stdin") == ["instrumental.wav", "vocals.wav"]
    done = CliRunner().invoke(app, ["split", "-", "-o", "other"], input=b"only text")
    assert done.exit_code == 1 and "error: stdin is not audio" in done.stderr


@pytest.mark.parametrize(
    ("options", "start"),
    [
        (["--stems", "vocals"], b"RIFF"),
        (["--stems", "vocals", "--format", "flac"], b"fLaC"),
        (["--zip"], b"PK"),
        (["--stems", "4s", "--format", "stem.mp4"], b"\0\0\0"),
    ],
)
def test_row_18_one_file_is_written_to_standard_output(
    options: list[str], start: bytes, toy: ToyModel
) -> None:
    write(Path("Lied.wav"))
    assert run("Lied.wav", *options).exit_code == 0
    (file,) = (path for path in STEMS.rglob("*") if path.is_file())
    done = run("Lied.wav", "-o", "-", *options)
    assert done.exit_code == 0 and done.stdout_bytes.startswith(start)
    assert len(done.stdout_bytes) == file.stat().st_size
    assert "Lied.wav: 0.1 s of audio in" in done.stderr and "/" not in done.stderr
    assert sorted(path.name for path in Path().iterdir() if path.name != "cache") == ["Lied.wav", "stems"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["a.wav"], "choose one stem, such as --stems vocals, or add --zip"),
        (["a.wav", "b.wav", "--stems", "vocals"], "takes the stems of one song"),
        (["a.wav", "--stems", "vocals", "--json"], "Both --json and -o - write to standard output"),
    ],
)
def test_row_18_more_than_one_file_is_not_written_to_standard_output(
    arguments: list[str], message: str, toy: ToyModel
) -> None:
    done = run(*arguments, "-o", "-")
    assert isinstance(done.exception, RequestError) and message in str(done.exception)
    assert done.stdout == ""


def test_row_18_failed_song_writes_nothing_to_standard_output(toy: ToyModel) -> None:
    done = run("gone.wav", "-o", "-", "--stems", "vocals")
    assert done.exit_code == 1 and done.stdout_bytes == b"" and "no file gone.wav" in done.stderr


# --- excerpts and quality ---


@pytest.mark.parametrize(
    ("options", "samples"),
    [
        (["--start", "1"], 88_200),
        (["--start", "0:01.5", "--duration", "0.25"], 11_025),
        (["--duration", "00:00:02"], 88_200),
        (["--start", "2.9", "--duration", "1:00"], 4_410),
    ],
)
def test_row_18_excerpt_is_separated(options: list[str], samples: int, toy: ToyModel) -> None:
    write(Path("Lied.wav"), samples=132_300)
    done = run("Lied.wav", *options, "--verify")
    assert done.exit_code == 0 and f"every stem decodes to {samples} samples." in done.stdout


@pytest.mark.parametrize("time", ["1:75", "abc", "-1", "1:2:3:4", "1:75:00", "nan", ""])
def test_row_18_invalid_time_is_usage_error(time: str, toy: ToyModel) -> None:
    done = run("Lied.wav", f"--start={time}")
    assert done.exit_code == 2 and "is not a time: give seconds, such as 83.5, or mm:ss" in done.stderr


def test_row_18_quality_reaches_the_separation(toy: ToyModel, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: dict[str, Any] = {}
    stream = separator.separate_stream
    monkeypatch.setattr(
        separator,
        "separate_stream",
        lambda *args, **options: (seen.update(options), stream(*args, **options))[1],
    )
    write(Path("Lied.wav"))
    assert run("Lied.wav", "--overlap", "0.5", "--shifts", "3").exit_code == 0
    assert seen == {"overlap": 0.5, "shifts": 3}


def test_quality_best_is_the_better_model_with_an_overlap_of_a_half(
    toy: ToyModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: dict[str, Any] = {}
    stream = separator.separate_stream
    monkeypatch.setattr(
        separator,
        "separate_stream",
        lambda *args, **options: (seen.update(options), stream(*args, **options))[1],
    )
    monkeypatch.setattr(ModelStore, "is_ready", lambda store, name: name in ("builtin_6s", "scnet_large"))
    write(Path("Lied.wav"))
    for options, overlap in (["best"], 0.5), (["balanced"], None), (["best", "--overlap", "0.1"], 0.1):
        done = run("Lied.wav", "--stems", "4s", "--overwrite", "--quality", *options)
        assert done.exit_code == 0 and ", scnet_large (MIT) on " in done.stdout
        assert "warning" not in done.stderr
        assert seen == {"overlap": overlap, "shifts": 1}


def test_a_quality_without_its_model_uses_the_default_with_a_warning(
    toy: ToyModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ModelStore, "is_ready", lambda store, name: name == "builtin_6s")
    write(Path("Lied.wav"))
    done = run("Lied.wav", "--quality", "balanced")
    assert done.exit_code == 0 and ", builtin_6s (MIT) on " in done.stdout
    assert "so that of fast is used: run `stemsplitter models pull best_6s`." in done.stderr
    done = run("Lied.wav", "--quality", "fast", "--overwrite")
    assert done.exit_code == 0 and "that of fast" not in done.stderr


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (["--quality", "great"], "There is no quality 'great': choose fast, balanced, best."),
        (
            ["--quality", "best", "--model", "htdemucs"],
            "the quality best exclude each other: choose one of them",
        ),
    ],
)
def test_a_wrong_quality_is_refused_before_a_download(
    options: list[str], why: str, toy: ToyModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ModelStore, "pull", lambda *_: pytest.fail("it was fetched"))
    write(Path("Lied.wav"))
    done = run("Lied.wav", *options)
    assert done.exit_code != 0 and why in str(done.exception)


# --- completion ---


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("split --format f", ["flac", "flac16", "flac24"]),
        ("split --format st", ["stem.mp4"]),
        ("split --stems dr", ["drums"]),
        ("split --stems 4", ["4s"]),
        ("split --stems vocals,v", []),
        ("split --stems vocals,b", ["vocals,bass"]),
        ("split --model b", ["builtin_6s", "best_6s"]),
        ("split --device c", ["cpu", "cuda"]),
        ("split --precision b", ["bf16"]),
        ("split --quality b", ["balanced", "best"]),
        ("models pull sp", ["spleeter_2s"]),
        ("worker --models spleeter_2s,b", ["spleeter_2s,builtin_6s", "spleeter_2s,best_6s"]),
    ],
)
def test_row_17_shell_completes_values(
    line: str, expected: list[str], toy: ToyModel, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["stemsplitter", *line.split()]
    done = CliRunner().invoke(
        app,
        [],
        prog_name="stemsplitter",
        env={
            "_STEMSPLITTER_COMPLETE": "complete_bash",
            "COMP_WORDS": " ".join(words),
            "COMP_CWORD": str(len(words) - 1),
        },
    )
    assert done.stdout.split() == expected


@pytest.mark.parametrize("there", [False, True])
@pytest.mark.parametrize("error", [OutputError("No."), KeyboardInterrupt()])
def test_failed_zip_leaves_no_files(
    error: BaseException, there: bool, toy: ToyModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        assert len(list(Path("stems/Lied").glob(".*/*.wav"))) == 6
        raise error

    monkeypatch.setattr("stemsplitter.files.archive.write_zip", fail)
    write(Path("Lied.wav"))
    if there:
        touch("stems/Lied/notes.txt")
    done = run("Lied.wav", "--zip")
    assert done.exit_code != 0
    assert [str(path) for path in STEMS.rglob("*")] == (
        ["stems/Lied", "stems/Lied/notes.txt"] if there else []
    )
    assert STEMS.exists() == there


def test_failed_verification_is_a_failure(toy: ToyModel, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise OutputError("The stem vocals was written with 1 samples.")

    monkeypatch.setattr("stemsplitter.library.verification.verify_files", fail)
    write(Path("Lied.wav"))
    done = run("Lied.wav", "--verify", "--json")
    assert done.exit_code == 1
    assert [json.loads(line)["event"] for line in done.stdout.splitlines()][-2:] == ["failed", "finished"]


# --- the model ---


@pytest.fixture
def pulled(toy: ToyModel, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of downloaded models; only the built-in ones are installed."""
    names: list[str] = []
    monkeypatch.setattr(ModelStore, "is_ready", lambda store, name: name == "builtin_6s")
    monkeypatch.setattr(ModelStore, "pull", lambda store, name, progress: names.append(name))
    monkeypatch.delenv("STEMSPLITTER_OFFLINE")
    return names


@pytest.mark.parametrize(
    ("options", "model"),
    [
        ([], "builtin_6s"),
        (["--stems", "4s"], "builtin_6s"),
        (["--model", "builtin_6s"], "builtin_6s"),
        (["--stems", "2s"], "spleeter_2s"),
        (["--model", "spleeter_2s"], "spleeter_2s"),
    ],
)
def test_permissive_model_is_downloaded_automatically(
    options: list[str], model: str, pulled: list[str]
) -> None:
    """Alone, or for the vocals of the built-in model."""
    write(Path("a.wav"))
    done = run("a.wav", *options)
    assert done.exit_code == 0 and pulled == ["spleeter_2s"]
    first, second = done.stderr.splitlines()
    assert first == "Downloading the model spleeter_2s (118 MB, license MIT) …"
    assert second == f"a.wav: {model} on cpu (toy)"


@pytest.fixture
def unobtainable(pulled: list[str], toy: ToyModel, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of failed downloads; the model has a note."""

    def fail(store: ModelStore, name: str, progress: object) -> None:
        pulled.append(name)
        raise ModelError("pip could not fetch it.")

    monkeypatch.setattr(ModelStore, "pull", fail)
    toy.notes = ("It does what it can.",)
    return pulled


@pytest.mark.parametrize(
    ("options", "stems"),
    [([], SIX_STEMS), (["--stems", "4s"], LAYOUTS["4s"]), (["--stems", "2s"], LAYOUTS["2s"])],
)
def test_built_in_model_is_fallback_for_failed_download(
    options: list[str], stems: tuple[str, ...], unobtainable: list[str]
) -> None:
    write(Path("a.wav"))
    write(Path("b.wav"))
    done = run("a.wav", "b.wav", *options)
    assert done.exit_code == 0 and unobtainable == ["spleeter_2s"]
    assert done.stderr.splitlines() == [
        "Downloading the model spleeter_2s (118 MB, license MIT) …",
        "warning: It does what it can.",
        "1/2 a.wav: builtin_6s on cpu (toy)",
        "2/2 b.wav: builtin_6s on cpu (toy)",
    ]
    assert "warning" not in done.stdout  # printed once
    assert sorted(path.stem for path in (STEMS / "b").iterdir()) == sorted(stems)


def test_named_model_has_no_fallback(unobtainable: list[str]) -> None:
    write(Path("a.wav"))
    done = run("a.wav", "--model", "spleeter_2s")
    assert str(done.exception) == "pip could not fetch it."


def test_json_has_model_notes_in_warnings(unobtainable: list[str]) -> None:
    write(Path("a.wav"))
    done = run("a.wav", "--json")
    events = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.stderr == "" and [event["event"] for event in events[:2]] == ["fetching", "started"]
    assert events[-2]["event"] == "separated" and events[-2]["warnings"] == ["It does what it can."]


def test_model_with_unclear_license_is_not_downloaded(
    pulled: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def load(entry: Any, store: ModelStore, runtime: Any) -> None:
        store.weights(entry.name)

    monkeypatch.setattr("stemsplitter.catalogue.opening.load_model", load)
    done = run("a.wav", "--model", "htdemucs")
    assert pulled == []
    assert isinstance(done.exception, ModelError) and "stemsplitter models pull htdemucs" in str(
        done.exception
    )


def test_offline_prints_no_download_message(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("STEMSPLITTER_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("STEMSPLITTER_OFFLINE", "1")
    done = run("a.wav", "--model", "spleeter_2s")
    assert isinstance(done.exception, ModelError) and "offline" in str(done.exception)
    assert done.stderr == ""


# --- songs side by side ---


def test_songs_side_by_side_give_the_files_of_songs_in_turn(toy: ToyModel) -> None:
    for number in range(1, 6):
        write(Path(f"songs/{number}.wav"), number / 10, samples=4_096 * number)
    assert run("songs", "-o", "one").exit_code == 0
    result = run("songs", "-o", "two", "--jobs", "2")
    assert result.exit_code == 0 and "5 of 5 songs separated." in result.stdout
    files = sorted(path.relative_to("one") for path in Path("one").rglob("*.wav"))
    assert len(files) == 5 * 6
    assert sorted(path.relative_to("two") for path in Path("two").rglob("*.wav")) == files
    assert all((Path("one") / path).read_bytes() == (Path("two") / path).read_bytes() for path in files)


def test_songs_side_by_side_run_at_the_same_time(toy: ToyModel, monkeypatch: pytest.MonkeyPatch) -> None:
    both = threading.Barrier(2)

    def separate(mixture: Any) -> Any:
        both.wait(20)  # fails unless another song is here, too
        return np.stack([mixture / len(toy.stems)] * len(toy.stems))

    monkeypatch.setattr(toy, "separate", separate)
    result = run(str(write(Path("a.wav"))), str(write(Path("b.wav"))), "--jobs", "2")
    assert result.exit_code == 0, result.output


def test_failed_song_does_not_stop_those_beside_it(toy: ToyModel) -> None:
    toy.poison = 0.5
    for number in range(1, 5):
        write(Path(f"songs/{number}.wav"), 0.5 if number == 2 else 0.25)
    result = run("songs", "--jobs", "3")
    assert result.exit_code == 1
    assert "3 of 4 songs separated, 1 failed." in result.stdout
    assert not Path("stems/2").exists() and Path("stems/4/vocals.wav").exists()


def test_interrupt_stops_all_songs_and_leaves_no_file(toy: ToyModel, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(1, 5):
        write(Path(f"songs/{number}.wav"), samples=40 * 4_096)
    started = threading.Event()

    def separate(mixture: Any) -> Any:
        if not started.is_set():
            started.set()
            os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.02)
        return np.stack([mixture / len(toy.stems)] * len(toy.stems))

    monkeypatch.setattr(toy, "separate", separate)
    result = run("songs", "--jobs", "2")
    assert result.exit_code == 130
    assert not [path for path in Path("stems").rglob("*") if path.is_file()]


@pytest.mark.parametrize("jobs", ["0", "-1", "many", "1.5", ""])
def test_jobs_out_of_range_are_refused(toy: ToyModel, jobs: str) -> None:
    result = run(str(write(Path("a.wav"))), "--jobs", jobs)
    assert isinstance(result.exception, RequestError)
    assert "--jobs cannot be" in str(result.exception)


def test_automatic_jobs_are_limited_by_songs_and_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stemsplitter.separation.runtimes.usable_cores", lambda: 8)
    monkeypatch.setattr(batch, "_free_memory", lambda: 100 << 30)
    assert batch.parse_jobs("auto", 60) == 3
    assert batch.parse_jobs("auto", 1) == 1
    monkeypatch.setattr(batch, "_free_memory", lambda: 2 << 30)
    assert batch.parse_jobs("auto", 60) == 2
    monkeypatch.setattr(batch, "_free_memory", lambda: 1 << 20)
    assert batch.parse_jobs("auto", 60) == 1


# --- the manifest ---


def lines_of(manifest: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in Path(manifest).read_text().splitlines()]


def test_manifest_has_a_line_for_each_song(toy: ToyModel) -> None:
    toy.poison = 0.5
    good, bad = write(Path("good.wav"), samples=44_100), write(Path("bad.wav"), 0.5)
    result = run(str(good), str(bad), "--manifest", "out/stems.jsonl", "--format", "flac", "--stems", "4s")
    assert result.exit_code == 1
    first, second = lines_of("out/stems.jsonl")
    assert first["song"] == "good.wav"
    assert first["content"] == f"sha256:{hashlib.sha256(good.read_bytes()).hexdigest()}"
    assert first["settings"]["format"] == "flac" and len(first["settings"]["stems"]) == 4
    assert [Path(file).exists() for file in first["files"]] == [True] * 4
    assert first["seconds"] == 1.0 and first["analysis"]["tempo"] is None
    drums = first["stems"]["drums"]
    # the ends of a constant ring between the samples; the K-weighting removes it
    assert 0 <= drums["true_peak"] - 20 * np.log10(drums["peak"]) < 1.5
    assert drums["loudness"] is None or drums["loudness"] < -40
    assert second["song"] == "bad.wav" and "internal error" in second["error"] and "files" not in second


def test_parquet_has_a_row_for_each_line_of_the_manifest(toy: ToyModel) -> None:
    from pyarrow import parquet

    toy.poison = 0.5
    songs = [str(write(Path("good.wav"), samples=44_100)), str(write(Path("bad.wav"), 0.5))]
    options = ("--manifest", "stems.jsonl", "--parquet", "--stems", "4s")
    assert run(songs[0], *options, "-o", "first").exit_code == 0
    assert run(*songs, *options).exit_code == 1  # the rows of the first run stay
    rows = parquet.read_table("stems.parquet").to_pylist()
    lines = lines_of("stems.jsonl")
    assert len(rows) == len(lines) == 3
    for row, line in zip(rows, lines, strict=True):
        assert json.loads(row["settings"]) == line["settings"]
        same = ("song", "content", "model", "files", "seconds", "elapsed", "samples", "warnings", "error")
        assert {name: row[name] for name in same} == {name: line.get(name) for name in same}
        stems = {stem.pop("name"): stem for stem in row["stems"]}
        assert stems == {name: {**stem, "etag": None} for name, stem in line.get("stems", {}).items()}
    assert rows[0]["key"] is None and rows[0]["tempo"] is None
    assert rows[2]["error"] and rows[2]["seconds"] is None


def test_key_and_tempo_are_columns(tmp_path: Path) -> None:
    from pyarrow import parquet

    from stemsplitter.library.parquet import write_parquet

    analysis = {"key": {"name": "C major", "camelot": "8B"}, "tempo": {"bpm": 120.5}}
    line = {"song": "a.wav", "content": None, "settings": {}, "files": ["a"], "analysis": analysis}
    (tmp_path / "stems.jsonl").write_text(json.dumps(line) + "\n" + '{"song":')
    write_parquet(tmp_path / "stems.jsonl")
    (row,) = parquet.read_table(tmp_path / "stems.parquet").to_pylist()
    assert (row["key"], row["tempo"]) == ("C major", 120.5)


@pytest.mark.parametrize("manifest", [(), ("--manifest", "stems.parquet")])
def test_parquet_without_a_manifest_is_refused(toy: ToyModel, manifest: tuple[str, ...]) -> None:
    result = run(str(write(Path("a.wav"))), "--parquet", *manifest)
    assert isinstance(result.exception, RequestError) and "add --manifest FILE" in str(result.exception)


def test_missing_extra_of_parquet_is_named(toy: ToyModel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    result = run(str(write(Path("a.wav"))), "--parquet", "--manifest", "stems.jsonl")
    assert isinstance(result.exception, RequestError)
    assert "pip install stemsplitter[parquet]" in str(result.exception)
    assert not Path("stems").exists()


def test_songs_in_the_manifest_are_skipped_by_content_and_settings(toy: ToyModel) -> None:
    write(Path("songs/a.wav"), 0.1)
    write(Path("songs/b.wav"), 0.2)
    manifest = ("--manifest", "stems.jsonl", "--skip-existing")
    assert run("songs", *manifest).exit_code == 0
    Path("songs/a.wav").rename("songs/renamed.wav")
    result = run("songs", *manifest)
    assert "0 of 2 songs separated, 2 skipped." in result.stdout
    write(Path("songs/b.wav"), 0.3)
    result = run("songs", *manifest, "--overwrite")
    assert "1 of 2 songs separated, 1 skipped." in result.stdout
    assert "2 of 2 songs separated." in run("songs", *manifest, "--format", "flac", "-o", "flac").stdout
    Path("stems/b/drums.wav").unlink()
    assert "1 of 2 songs separated, 1 skipped." in run("songs", *manifest, "--overwrite").stdout
    assert len(lines_of("stems.jsonl")) == 6


def test_half_a_line_of_a_killed_run_is_removed(toy: ToyModel) -> None:
    song = str(write(Path("a.wav")))
    assert run(song, "--manifest", "stems.jsonl").exit_code == 0
    whole = Path("stems.jsonl").read_bytes()
    Path("stems.jsonl").write_bytes(whole + whole[:100])
    assert "1 skipped" in run(song, song, "b.wav", "--manifest", "stems.jsonl", "--skip-existing").stdout
    assert [line["song"] for line in lines_of("stems.jsonl")] == ["a.wav", "b.wav"]


@pytest.mark.parametrize("content", ["[]\n", "{}\n", "a song list\n", "\x00\n"])
def test_other_files_are_not_changed_into_a_manifest(toy: ToyModel, content: str) -> None:
    Path("list.txt").write_text(content)
    result = run(str(write(Path("a.wav"))), "--manifest", "list.txt")
    assert isinstance(result.exception, RequestError) and "not a manifest" in str(result.exception)
    assert Path("list.txt").read_text() == content
