"""Every output format is written with the song's length and tags."""

import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import av
import numpy as np
import pytest
import soundfile

from stemsplitter.separation.layouts import LAYOUTS, SIX_STEMS

from .command import MODEL, Command, files_in
from .songs import TAGS, Samples, dbfs, encode, read, sung

RATE = 48_000
SAMPLES = 72_345


class Output(NamedTuple):
    """Expected file extension, FFmpeg codec name and maximum error in dBFS (RMS) of an output format."""

    extension: str
    codec: str
    residual: float
    bit_rate: int = 0


OUTPUTS = {
    "wav": Output("wav", "pcm_s24le", -130),
    "wav16": Output("wav", "pcm_s16le", -90),
    "wav24": Output("wav", "pcm_s24le", -130),
    "wav32f": Output("wav", "pcm_f32le", -140),
    "flac": Output("flac", "flac", -130),
    "flac16": Output("flac", "flac", -90),
    "mp3": Output("mp3", "mp3", -40, 320_000),
    "mp3:128": Output("mp3", "mp3", -30, 128_000),
    "ogg": Output("ogg", "vorbis", -30),
    "m4a": Output("m4a", "aac", -30),
}


@pytest.fixture(scope="module")
def tagged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Stereo song at 48 kHz with tags."""
    path = tmp_path_factory.mktemp("tagged") / "Lied.flac"
    return encode(path, sung(SAMPLES, 2, RATE), RATE, "flac", **TAGS)


@pytest.fixture(scope="module", params=OUTPUTS)
def written(
    request: pytest.FixtureRequest,
    tagged: Path,
    command_in: Callable[[Path], Command],
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[str, Path, dict[str, Any]]:
    """Output format, the folder of the stems, and the ``separated`` event of the run."""
    folder = tmp_path_factory.mktemp("out")
    done = command_in(folder)("split", tagged, "-o", "out", "--format", request.param, "--verify", "--json")
    assert (done.code, done.err) == (0, "")
    return request.param, folder / "out" / "Lied", done.named("separated")["Lied.flac"]


Written = tuple[str, Path, dict[str, Any]]


def test_one_file_per_stem_is_written(written: Written) -> None:
    format, folder, told = written
    extension = OUTPUTS[format].extension
    assert files_in(folder) == sorted(f"{stem}.{extension}" for stem in SIX_STEMS)
    assert [Path(path).name for path in told["files"]] == [f"{stem}.{extension}" for stem in SIX_STEMS]


def test_files_have_requested_codec_and_rate(written: Written) -> None:
    format, folder, _ = written
    for path in folder.iterdir():
        with av.open(str(path)) as file:
            stream = file.streams.audio[0]
            assert (stream.codec_context.name.removesuffix("float"), stream.sample_rate) == (
                OUTPUTS[format].codec,
                RATE,
            )
            if OUTPUTS[format].bit_rate:
                assert stream.bit_rate == OUTPUTS[format].bit_rate


def test_files_have_length_of_mixture(written: Written) -> None:
    format, folder, told = written
    assert told["samples"] == SAMPLES
    assert told["encoded_residual_dbfs"] <= OUTPUTS[format].residual
    if OUTPUTS[format].extension != "m4a":  # not supported by libsndfile
        for path in folder.iterdir():
            assert soundfile.read(path)[0].shape == (SAMPLES, 2)


def test_files_have_tags_of_song(written: Written) -> None:
    _, folder, _ = written
    for path in folder.iterdir():
        with av.open(str(path)) as file:
            tags = {
                key.lower(): text for key, text in {**file.streams.audio[0].metadata, **file.metadata}.items()
            }
        assert (tags["title"], tags["artist"], tags["album"]) == (
            f"Ein Lied ({path.stem})",
            "Wir",
            "Die Platte",
        )


def test_rate_option_resamples_stems(command: Command, tagged: Path) -> None:
    done = command("split", tagged, "--rate", "44100", "--format", "wav32f", "--verify", "--json")
    told = done.named("separated")["Lied.flac"]
    expected = round(SAMPLES * 44_100 / RATE)
    assert (told["samples"], told["sample_rate"]) == (expected, 44_100)
    assert told["encoded_residual_dbfs"] <= -90
    for path in told["files"]:
        info = soundfile.info(command.folder / path)
        assert (info.frames, info.samplerate) == (expected, 44_100)


def test_stem_mp4_requires_four_stems(command: Command, tmp_path: Path) -> None:
    encode(tmp_path / "Lied.wav", sung(9_000), 44_100, "pcm_s16le")
    done = command("split", "Lied.wav", "--format", "stem.mp4")
    assert done.code == 1 and "stem.mp4" in done.err and "4s" in done.err
    assert files_in(tmp_path) == ["Lied.wav"]


def test_zip_contains_all_stems(command: Command, song: Path, tmp_path: Path) -> None:
    earlier, notes = (tmp_path / "stems" / "Lied" / name for name in ("vocals.wav", "notes.txt"))
    earlier.parent.mkdir(parents=True)
    for path in (earlier, notes):
        path.write_text("from another run")
    refused = command("split", song, "--zip", "--verify")
    assert (
        refused.code == 1
        and "stems/Lied has stems of an earlier run (vocals.wav): add --overwrite" in refused.err
    )
    assert earlier.read_text() == "from another run"
    done = command("split", song, "--zip", "--verify", "--json", "--overwrite")
    assert (done.code, done.err) == (0, "")
    told = done.named("separated")["Lied.flac"]
    assert told["files"] == ["stems/Lied/Lied.zip"]
    assert {stem["path"] for stem in told["stems"].values()} == {"stems/Lied/Lied.zip"}
    assert files_in(tmp_path) == ["stems", "stems/Lied", "stems/Lied/Lied.zip", "stems/Lied/notes.txt"]
    assert notes.read_text() == "from another run"
    with zipfile.ZipFile(tmp_path / "stems/Lied/Lied.zip") as archive:
        assert archive.testzip() is None
        assert archive.namelist() == [f"{stem}.wav" for stem in SIX_STEMS]
        archive.extractall(tmp_path / "unpacked")
    stems = [read(path)[0] for path in (tmp_path / "unpacked").iterdir()]
    assert dbfs(sum(stems) - read(song)[0]) <= -90


@pytest.fixture(scope="module")
def both(
    song: Path, command_in: Callable[[Path], Command], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Samples]:
    """Samples of two stems that are requested together."""
    return requested_stems(command_in(tmp_path_factory.mktemp("both")), song, "--stems", "2s")


def requested_stems(command: Command, song: Path, *options: str) -> dict[str, Samples]:
    done = command("split", song, "--format", "wav32f", "--json", *options)
    assert (done.code, done.err) == (0, "")
    told = done.named("separated")["Lied.flac"]["stems"]
    return {name: read(command.folder / stem["path"])[0] for name, stem in told.items()}


@pytest.mark.parametrize("names", ["vocals", "instrumental"])
def test_only_requested_stems_are_written(
    names: str, command: Command, song: Path, both: dict[str, Samples]
) -> None:
    stems = requested_stems(command, song, "--stems", names)
    assert list(stems) == names.split(",")
    for name, samples in stems.items():
        np.testing.assert_array_equal(samples, both[name])


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (
            ["--stems", "6s", "--model", "htdemucs_6s"],
            ["htdemucs_6s", "stemsplitter models pull htdemucs_6s"],
        ),
        (["--stems", "4s", "--model", "spleeter_2s"], ["drums, bass, other"]),
        (["--stems", "voice"], ["voice", "vocals"]),
        (["--model", "nonsense"], ["nonsense", "builtin_6s"]),
        (["--format", "wma"], ["wma", "flac"]),
        (["--format", "mp3:1"], ["mp3", "320"]),
        (["--rate", "0"], ["0 Hz", "8000 to 192000"]),
        (["--device", "abacus"], ["abacus", "cpu"]),
        (["--precision", "fp7"], ["fp7", "fp32"]),
    ],
)
def test_invalid_option_is_refused_in_one_sentence(
    options: list[str], words: list[str], command: Command, song: Path
) -> None:
    done = command("split", song, *options)
    assert done.code == 1 and done.out == ""
    assert done.err.startswith("error: ") and done.err.count("\n") == 1
    assert all(word in done.err for word in words)
    assert files_in(command.folder) == []


def test_stems_share_one_gain_if_integers_would_clip(command: Command, tmp_path: Path) -> None:
    loud = 4 * sung(60_000)
    encode(tmp_path / "Loud.wav", loud, 44_100, "pcm_f32le")
    done = command("split", "Loud.wav", "--stems", "2s", "--format", "wav16", "--verify")
    assert done.code == 0
    (line,) = [line for line in done.out.splitlines() if "attenuated" in line]
    gain = 10 ** (-float(line.split()[5]) / 20)
    total = sum(read(tmp_path / "stems" / "Loud" / f"{name}.wav")[0] for name in LAYOUTS["2s"])
    assert gain < 0.6
    assert dbfs(total - gain * loud) < -40  # the gain is printed with one decimal
    assert dbfs(total) < 6


def test_printed_report(command: Command, song: Path) -> None:
    done = command("split", song, "--verify")
    assert done.code == 0
    first, *paths, checked, sums = done.out.splitlines()
    assert first.startswith("Lied.flac: 2.0 s of audio in ") and f"{MODEL} (MIT)" in first
    assert [path.strip() for path in paths] == [f"stems/Lied/{stem}.wav" for stem in SIX_STEMS]
    assert all((command.folder / path.strip()).is_file() for path in paths)
    assert checked == "  Verified: every stem decodes to 88200 samples."
    assert sums.startswith("  The decoded stems sum to the song with a residual of -")
    started, *progress = done.err.splitlines()
    assert started.startswith(f"Lied.flac: {MODEL} on cpu")
    assert all(line.startswith("Lied.flac: ") for line in progress)


def test_json_events_are_in_order(command: Command, tmp_path: Path) -> None:
    minute = encode(tmp_path / "Minute.wav", sung(60 * 8_000, 1, 8_000), 8_000, "pcm_s16le")
    done = command("split", minute, "--json")
    assert (done.code, done.err) == (0, "")
    kinds = [event["event"] for event in done.events]
    assert kinds == ["started", *["progress"] * (len(kinds) - 3), "separated", "finished"]
    fractions = [event["fraction"] for event in done.events if event["event"] == "progress"]
    assert len(fractions) > 6 and fractions == sorted(fractions) and fractions[-1] == 1
    assert fractions[0] < 0.2
    assert done.events[-1] == {"event": "finished", "separated": 1, "skipped": 0, "failed": 0}
    assert json.loads(done.out.splitlines()[0])["song"] == str(minute)
