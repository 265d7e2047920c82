import json
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from stemsplitter.audio.decode import AudioInfo
from stemsplitter.audio.stem_encoders import WrittenStem
from stemsplitter.audio.tags import Tags
from stemsplitter.cli import failures
from stemsplitter.cli import progress as progress_module
from stemsplitter.cli import report as module
from stemsplitter.cli.failures import Tally
from stemsplitter.cli.output import duration, printable
from stemsplitter.cli.report import JsonReport, SeparatedSong, TextReport
from stemsplitter.errors import AudioError, OutputError
from stemsplitter.library import ModelUsed, Progress, StemFiles
from stemsplitter.library.verification import Verification

SONG = Path("songs/Lied.flac")
FOLDER = Path("stems/Lied")
PATHS = [FOLDER / "vocals.wav", FOLDER / "instrumental.wav"]
RESULT = StemFiles(
    model="spleeter_2s",
    models=(ModelUsed("spleeter_2s", "MIT"),),
    device="cpu (one)",
    sample_rate=44_100,
    samples=441_000,
    residual_dbfs=-144.49,
    complete=True,
    elapsed=0.5,
    warnings=(),
    source=AudioInfo(44_100, 2, 2, "flac", "flac", 10.0, Tags()),
    files=tuple(WrittenStem(path.stem, path, 441_000, 0.25) for path in PATHS),
    gain=1.0,
)
SEPARATOR: Any = SimpleNamespace(entry=SimpleNamespace(name="spleeter_2s"), device="cpu (one)")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0.0 s"),
        (59.94, "59.9 s"),
        (59.96, "1 min 0 s"),
        (200, "3 min 20 s"),
        (3599.4, "59 min 59 s"),
        (3599.6, "1 h 0 min"),
        (3720, "1 h 2 min"),
    ],
)
def test_duration_is_formatted(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_printable_replaces_control_characters() -> None:
    assert printable("ä 🎸\n\x1b[31m\udcff") == "ä 🎸��[31m�"


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    out, err = capsys.readouterr()
    assert err == ""
    return [json.loads(line) for line in out.splitlines()]


def test_json_events_of_song(capsys: pytest.CaptureFixture[str]) -> None:
    report = JsonReport(1)
    entry: Any = SimpleNamespace(name="spleeter_2s", licence="MIT", size_bytes=7)
    with report.fetching(entry) as fetched, report.status("Loading"):
        fetched(1, 2)
    with report.separating(SONG, SEPARATOR) as progress:
        progress(Progress(0.123456, 1.23456, 0.5))
    report.separated(SeparatedSong(SONG, FOLDER, RESULT, PATHS, Verification(-140.04)))
    report.failed(SONG, AudioError("One\nline."))
    report.finished(Tally(1, 1, 2))
    assert lines(capsys) == [
        {"event": "fetching", "model": "spleeter_2s", "licence": "MIT", "bytes": 7},
        {"event": "started", "song": "songs/Lied.flac", "model": "spleeter_2s", "device": "cpu (one)"},
        {"event": "progress", "song": "songs/Lied.flac", "fraction": 0.1235, "seconds": 1.235, "speed": 2.47},
        {
            "event": "separated",
            "song": "songs/Lied.flac",
            "folder": "stems/Lied",
            "files": ["stems/Lied/vocals.wav", "stems/Lied/instrumental.wav"],
            "stems": {
                "vocals": {"path": "stems/Lied/vocals.wav", "peak": 0.25},
                "instrumental": {"path": "stems/Lied/instrumental.wav", "peak": 0.25},
            },
            "model": "spleeter_2s",
            "models": [{"name": "spleeter_2s", "licence": "MIT"}],
            "device": "cpu (one)",
            "samples": 441_000,
            "sample_rate": 44_100,
            "seconds": 10.0,
            "elapsed": 0.5,
            "speed": 20.0,
            "gain": 1.0,
            "residual_dbfs": -144.5,
            "encoded_residual_dbfs": -140.0,
            "warnings": [],
        },
        {"event": "failed", "song": "songs/Lied.flac", "error": "One line."},
        {"event": "finished", "separated": 1, "skipped": 2, "failed": 1},
    ]


@pytest.mark.parametrize("checked", [None, Verification(None)])
def test_json_residual_is_null_if_not_measured(
    checked: Verification | None, capsys: pytest.CaptureFixture[str]
) -> None:
    JsonReport(1).separated(SeparatedSong(SONG, FOLDER, RESULT, PATHS, checked))
    assert lines(capsys)[0]["encoded_residual_dbfs"] is None


def test_json_names_zip_of_stems(capsys: pytest.CaptureFixture[str]) -> None:
    JsonReport(1).separated(SeparatedSong(SONG, FOLDER, RESULT, [FOLDER / "Lied.zip"]))
    told = lines(capsys)[0]
    assert told["files"] == ["stems/Lied/Lied.zip"]
    assert {stem["path"] for stem in told["stems"].values()} == {"stems/Lied/Lied.zip"}


def test_json_paths_are_exact_and_ascii(capsys: pytest.CaptureFixture[str]) -> None:
    song = Path("a\nb 🎸 \udcff.mp3")
    JsonReport(1).failed(song, AudioError("no"))
    out = capsys.readouterr().out
    assert out.isascii() and out.count("\n") == 1
    assert Path(json.loads(out)["song"]) == song


def test_text_of_song(capsys: pytest.CaptureFixture[str]) -> None:
    report = TextReport(1)
    with report.status("Loading spleeter_2s"), report.separating(SONG, SEPARATOR) as progress:
        progress(Progress(0.5, 1, 1))  # before the first line
    report.separated(SeparatedSong(SONG, FOLDER, RESULT, PATHS))
    report.finished(Tally(1, 0))
    out, err = capsys.readouterr()
    assert out.splitlines() == [
        "Lied.flac: 10.0 s of audio in 0.5 s (20.0× real time), spleeter_2s (MIT) on cpu (one)",
        "  stems/Lied/vocals.wav",
        "  stems/Lied/instrumental.wav",
    ]
    assert err == "Lied.flac: spleeter_2s on cpu (one)\n"


def test_model_notes_are_printed_once(capsys: pytest.CaptureFixture[str]) -> None:
    report, loaded = TextReport(2), SimpleNamespace(**vars(SEPARATOR), notes=("It is alone.",))
    report.loaded(loaded)
    for _ in range(2):
        report.separated(
            SeparatedSong(SONG, FOLDER, replace(RESULT, warnings=("It is alone.", "It is odd.")), [])
        )
    out, err = capsys.readouterr()
    assert err == "warning: It is alone.\n"
    assert out.splitlines()[1::2] == ["  warning: It is odd."] * 2
    JsonReport(1).loaded(loaded)
    assert capsys.readouterr() == ("", "")


def test_text_of_remarks(capsys: pytest.CaptureFixture[str]) -> None:
    info = replace(RESULT.source, sample_rate=96_000, source_channels=6)
    result = replace(RESULT, warnings=("It is odd.",), gain=0.5, source=info)
    TextReport(1).separated(SeparatedSong(SONG, FOLDER, result, [], Verification(-91.4)))
    assert capsys.readouterr().out.splitlines()[1:] == [
        "  warning: It is odd.",
        "  All stems are attenuated by 6.0 dB to prevent clipping.",
        "  The sample rate is 44100 Hz; that of the song is 96000 Hz.",
        "  The 6 channels of the song were mixed down to stereo.",
        "  Verified: every stem decodes to 441000 samples.",
        "  The decoded stems sum to the song with a residual of -91 dBFS.",
    ]


def test_text_of_tiny_gain(capsys: pytest.CaptureFixture[str]) -> None:
    TextReport(1).separated(SeparatedSong(SONG, FOLDER, replace(RESULT, gain=0.9999), []))
    assert "  All stems are attenuated by less than 0.1 dB" in capsys.readouterr().out


def test_text_of_batch(capsys: pytest.CaptureFixture[str]) -> None:
    report = TextReport(3)
    for name in ("a.wav", "b.wav"):
        with report.separating(Path(name), SEPARATOR):
            pass
    report.failed(Path("b.wav"), AudioError("b.wav is\nempty."))
    report.failed(Path("b.wav"), OutputError("vocals.wav cannot be written."))
    report.skipped(Path("c.wav"), Path("stems/c"))
    report.finished(Tally(2, 1, 1))
    out, err = capsys.readouterr()
    assert err.splitlines() == [
        "1/3 a.wav: spleeter_2s on cpu (one)",
        "2/3 b.wav: spleeter_2s on cpu (one)",
        "error: b.wav is empty.",
        "error: b.wav: vocals.wav cannot be written.",
    ]
    assert out.splitlines() == [
        "c.wav: skipped, its stems are in stems/c",
        "2 of 3 songs separated, 1 skipped, 1 failed.",
    ]


def test_progress_lines_without_terminal_are_throttled(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    clock = iter([0.0, 1.0, 6.0, 6.0, 7.0, 12.0, 12.0])
    monkeypatch.setattr(progress_module.time, "monotonic", lambda: next(clock))
    with TextReport(1).separating(SONG, SEPARATOR) as progress:
        progress(Progress(0.1, 10, 1))
        progress(Progress(0.25, 60, 6))
        progress(Progress(0.3, 70, 7))
        progress(Progress(0.0, 120, 12))
    assert capsys.readouterr().err.splitlines()[1:] == [
        "Lied.flac: 25%, 18.0 s left, 10.0× real time",
        "Lied.flac: 2 min 0 s done, 10.0× real time",
    ]


def test_download_message_has_size_and_license(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    @contextmanager
    def downloading(name: str) -> Any:
        yield name

    monkeypatch.setattr(module, "download_progress", downloading)
    report = TextReport(1)
    entry: Any = SimpleNamespace(name="spleeter_2s", licence="MIT", size_bytes=118_000_000)
    with report.fetching(entry) as fetched:
        assert fetched == "spleeter_2s"
    assert capsys.readouterr().err == "Downloading the model spleeter_2s (118 MB, license MIT) …\n"


def test_the_models_of_a_chain_are_named_with_license(capsys: pytest.CaptureFixture[str]) -> None:
    models = tuple(ModelUsed(name, "MIT") for name in ("best_6s", "scnet_large", "builtin_6s"))
    song = SeparatedSong(SONG, FOLDER, replace(RESULT, model="best_6s", models=models), PATHS)
    TextReport(1).separated(song)
    assert "best_6s (MIT), which is scnet_large (MIT) and builtin_6s (MIT), on cpu" in capsys.readouterr().out


def test_row_19_both_models_are_named_with_license(capsys: pytest.CaptureFixture[str]) -> None:
    models = (ModelUsed("builtin_6s", "MIT"), ModelUsed("spleeter_2s", "MIT"))
    song = SeparatedSong(SONG, FOLDER, replace(RESULT, model="builtin_6s", models=models), PATHS)
    TextReport(1).separated(song)
    assert "builtin_6s (MIT) with vocals by spleeter_2s (MIT) on cpu (one)\n" in capsys.readouterr().out
    JsonReport(1).separated(song)
    assert lines(capsys)[0]["models"] == [
        {"name": "builtin_6s", "licence": "MIT"},
        {"name": "spleeter_2s", "licence": "MIT"},
    ]


def test_failures_of_many_songs_are_listed_at_the_end(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(failures, "LISTED", 2)
    report = TextReport(20)
    for number in range(3):
        report.failed(Path(f"songs/{number}.mp3"), AudioError("It is empty."))
    report.finished(Tally(17, 3), has_manifest=True)
    lines = capsys.readouterr().err.splitlines()
    assert lines[3:] == [
        "Failed:",
        "  songs/0.mp3: It is empty.",
        "  songs/1.mp3: It is empty.",
        "  and 1 more, which are in the manifest.",
    ]


@pytest.mark.parametrize(
    ("separated", "failed", "allowed", "has_failed"),
    [(9, 1, 0, True), (9, 1, 10, False), (8, 2, 10, True), (0, 0, 0, False), (0, 3, 100, False)],
)
def test_run_fails_by_the_share_of_its_songs(
    separated: int, failed: int, allowed: float, has_failed: bool
) -> None:
    assert Tally(separated, failed, skipped=100).has_failed(allowed) == has_failed
