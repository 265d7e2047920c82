"""Invalid songs, output folders and weights: one sentence of error, and no partial files.

tests/audio tests the same errors in detail; these tests show that each reaches the user.
"""

import os
import resource
import shutil
import socket
import struct
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from .command import MODEL, VOCALS, Command, Done, files_in
from .songs import Samples, dbfs, encode, read, sung


def wav(path: Path, data: bytes, channels: int = 2, says: int | None = None) -> None:
    """Write a 16-bit WAV file whose header declares `says` bytes of audio."""
    size = len(data) if says is None else says
    head = struct.pack("<HHIIHH", 1, channels, 44_100, 88_200 * channels, 2 * channels, 16)
    path.write_bytes(
        b"RIFF"
        + struct.pack("<I", min(36 + size, 0xFFFFFFFF))
        + b"WAVEfmt "
        + struct.pack("<I", 16)
        + head
        + b"data"
        + struct.pack("<I", size)
        + data
    )


@pytest.fixture(scope="module")
def refused(
    tmp_path_factory: pytest.TempPathFactory, command_in: Callable[[Path], Command]
) -> dict[str, Any]:
    """Run on files that cannot be separated; returns the error message of each."""
    folder = tmp_path_factory.mktemp("refused")
    song = encode(folder / "song.m4a", sung(40_000), 44_100, "aac").read_bytes()
    (folder / "empty.wav").touch()
    (folder / "text.mp3").write_text("This is not music.\n" * 100)
    (folder / "cut in the header.flac").write_bytes(
        encode(folder / "x.flac", sung(9_000), 44_100, "flac").read_bytes()[:30]
    )
    (folder / "cut in the middle.m4a").write_bytes(song[: len(song) // 2])
    encode(folder / "x.mp4", sung(40_000), 44_100, "aac", video="mpeg4")
    silent_film(folder / "no sound.mp4")
    wav(folder / "no samples.wav", b"")
    wav(folder / "hundreds of channels.wav", bytes(200 * 2 * 100), channels=200)
    (folder / "a folder.mp3").mkdir()
    os.mkfifo(folder / "pipe.wav")
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}/song.mp3"
        playlist = f"#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\n{url}\n#EXT-X-ENDLIST\n"
        (folder / "playlist.m3u8").write_text(playlist)
        (folder / "playlist.mp3").write_text(playlist)
        (folder / "list.ffconcat").write_text("ffconcat version 1.0\nfile 'song.m4a'\n")
        names = sorted(path.name for path in folder.iterdir() if not path.name.startswith(("x.", "song")))
        names += ["concat:song.m4a|song.m4a", "file:song.m4a", "missing.wav"]
        done = command_in(folder)("split", *names, "--json", "-o", "out")
        server.settimeout(0.2)
        with pytest.raises(TimeoutError):
            server.accept()
    assert (done.code, done.err) == (1, "")
    assert done.events[-1] == {"event": "finished", "separated": 0, "skipped": 0, "failed": len(names)}
    assert not (folder / "out").exists()
    return {event["song"]: event["error"] for event in done.events if event["event"] == "failed"}


def silent_film(path: Path) -> None:
    import av

    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for _ in range(5):
            container.mux(
                stream.encode(av.VideoFrame.from_ndarray(np.zeros((48, 64, 3), np.uint8), format="rgb24"))
            )
        container.mux(stream.encode(None))


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("missing.wav", "There is no file missing.wav"),
        ("empty.wav", "is empty"),
        ("text.mp3", "is not audio"),
        ("cut in the header.flac", "cut in the header.flac"),
        ("cut in the middle.m4a", "is not audio"),
        ("no sound.mp4", "has no audio track"),
        ("no samples.wav", "no audio samples"),
        ("hundreds of channels.wav", "200 channels"),
        ("a folder.mp3", "contains no songs"),
        ("pipe.wav", "not a regular file"),
        ("playlist.m3u8", "is not audio"),
        ("playlist.mp3", "is not audio"),
        ("list.ffconcat", "is not audio"),
        ("concat:song.m4a|song.m4a", "There is no file"),
        ("file:song.m4a", "There is no file"),
    ],
)
def test_invalid_song_is_refused_in_one_sentence(name: str, words: str, refused: dict[str, Any]) -> None:
    message = refused[name]
    assert words in message
    assert message.endswith(".") and ": " in message and "\n" not in message


def test_url_is_refused_without_a_request(command: Command) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}/song.mp3"
        message = error_of(command("split", url))
        server.settimeout(0.2)
        with pytest.raises(TimeoutError):
            server.accept()
    assert message.startswith(f"error: {url} is a URL: download the file and name its path")
    assert files_in(command.folder) == []


UNUSUAL = {
    "10 ms": sung(441),
    "one sample": sung(1),
    "silence": np.zeros((2, 50_000), np.float32),
    "12 dB over full scale": 6.6 * sung(50_000),
    "with an offset": sung(50_000) + np.float32(0.3),
    "not numbers": sung(50_000),
    "very loud": 1e6 * sung(50_000),
    "very soft": 1e-6 * sung(50_000),
}
UNUSUAL["not numbers"][:, 20_000:20_010] = np.nan
UNUSUAL["not numbers"][0, 30_000] = np.inf


@pytest.fixture(scope="module")
def unusual(
    tmp_path_factory: pytest.TempPathFactory, command_in: Callable[[Path], Command]
) -> tuple[Path, Done]:
    """Run on unusual songs that can be separated; returns its folder and result."""
    folder = tmp_path_factory.mktemp("unusual")
    (folder / "songs").mkdir()
    for name, samples in UNUSUAL.items():
        encode(folder / "songs" / f"{name}.wav", samples, 44_100, "pcm_f32le")
    data = (sung(50_000).T * 32767).astype("<i2").tobytes()
    wav(folder / "songs" / "cut short.wav", data, says=2 * len(data))
    wav(folder / "songs" / "24 hours.wav", data, says=0xFFFFFF00)
    encode(folder / "songs" / "cut.flac", sung(200_000), 44_100, "flac")
    cut = folder / "songs" / "cut.flac"
    cut.write_bytes(cut.read_bytes()[: cut.stat().st_size // 2])
    done = command_in(folder)("split", "songs", "--json", "--format", "wav32f")
    assert (done.code, done.err) == (0, "")
    return folder, done


def unusual_stems(unusual: tuple[Path, Done], name: str) -> list[Samples]:
    folder, done = unusual
    return [read(folder / path)[0] for path in done.named("separated")[name]["files"]]


@pytest.mark.parametrize("name", UNUSUAL)
def test_unusual_songs_are_separated_exactly(name: str, unusual: tuple[Path, Done]) -> None:
    song = np.nan_to_num(UNUSUAL[name], nan=0, posinf=0)
    stems = unusual_stems(unusual, f"{name}.wav")
    assert all(stem.shape == song.shape and np.isfinite(stem).all() for stem in stems)
    assert dbfs((sum(stems) - song) / max(1, np.abs(song).max())) <= -90
    warnings = unusual[1].named("separated")[f"{name}.wav"]["warnings"]
    assert bool(warnings) == (name == "not numbers")


def test_silent_song_has_silent_stems(unusual: tuple[Path, Done]) -> None:
    assert not any(stem.any() for stem in unusual_stems(unusual, "silence.wav"))


@pytest.mark.parametrize("name", ["cut short.wav", "24 hours.wav"])
def test_truncated_wav_is_separated_with_warning(name: str, unusual: tuple[Path, Done]) -> None:
    assert {stem.shape for stem in unusual_stems(unusual, name)} == {(2, 50_000)}
    assert any("cut short" in line for line in unusual[1].named("separated")[name]["warnings"])


def test_truncated_flac_is_separated_with_warning(unusual: tuple[Path, Done]) -> None:
    stems = unusual_stems(unusual, "cut.flac")
    length = stems[0].shape[1]
    assert 50_000 < length < 150_000
    assert dbfs(sum(stems) - sung(200_000)[:, :length]) <= -89  # 16 bits
    assert any("cut short" in line for line in unusual[1].named("separated")["cut.flac"]["warnings"])


# --- output folder ---


def error_of(done: Done) -> str:
    """Return the only line that a failed run prints, apart from its progress."""
    assert done.code == 1 and done.out == ""
    (line,) = [line for line in done.err.splitlines() if not line.startswith("Lied.flac: ")]
    assert line.startswith("error: ")
    return line


@pytest.mark.parametrize(("output", "zip"), [("out", []), ("out/deeper", ["--zip"])])
def test_output_is_a_file(output: str, zip: list[str], command: Command, song: Path, tmp_path: Path) -> None:
    (tmp_path / "out").write_text("mine")
    assert "is a file: choose another output folder." in error_of(command("split", song, "-o", output, *zip))
    assert files_in(tmp_path) == ["out"] and (tmp_path / "out").read_text() == "mine"


@pytest.mark.parametrize("zip", [[], ["--zip"]])
def test_output_cannot_be_written(zip: list[str], command: Command, song: Path, tmp_path: Path) -> None:
    """To root everything is permitted but what the kernel keeps to itself."""
    locked = tmp_path / "locked"
    locked.mkdir(0o500)
    output = Path("/sys/kernel/stems") if os.geteuid() == 0 else locked / "stems"
    if os.geteuid() == 0 and not output.parent.is_dir():
        pytest.skip("root may write everywhere here")
    message = error_of(command("split", song, "-o", output, *zip))
    assert "choose another folder" in message
    assert not output.exists() and files_in(tmp_path) == ["locked"]


@pytest.mark.parametrize("options", [["--format", "mp3"], ["--zip"]])
def test_file_size_limit_leaves_no_files(
    options: list[str], command: Command, song: Path, tmp_path: Path
) -> None:
    """A limit of 20,000 bytes per file fails a write as a full disk does."""
    limit = lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))  # noqa: E731
    message = error_of(command("split", song, "-o", "new/out", *options, preexec_fn=limit))
    assert "cannot be written because the file would be larger than is allowed here" in message
    assert files_in(tmp_path) == []


@pytest.mark.parametrize("options", [[], ["--zip"]])
def test_full_disk_leaves_no_files(options: list[str], command: Command, song: Path, tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    # 2 s of 24-bit stereo stems take 530,000 bytes each: one zip of two does not fit beside them
    size = "1200k" if options else "700k"
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", disk], capture_output=True, timeout=60
    )
    if mounted.returncode:
        pytest.skip("Only root can mount a small disk.")
    try:
        message = error_of(command("split", song, "-o", disk / "out", *options))
        assert "the disk is full: free some space or choose another folder" in message
        assert files_in(disk) == []
    finally:
        subprocess.run(["umount", disk], check=True, timeout=60)


# --- weights ---


@pytest.fixture
def without_weights(tmp_path: Path, environment: dict[str, str]) -> Command:
    return Command(tmp_path, environment | {"STEMSPLITTER_CACHE_DIR": str(tmp_path / "cache")})


def real_weights(environment: dict[str, str]) -> Path:
    return Path(environment["STEMSPLITTER_CACHE_DIR"]) / "models" / VOCALS


def test_missing_weights_are_reported(without_weights: Command, song: Path) -> None:
    message = error_of(without_weights("split", song, "--model", VOCALS))
    assert VOCALS in message and "offline" in message
    assert not (without_weights.folder / "stems").exists()


@pytest.mark.parametrize("damage", ["cut short", "changed"])
def test_damaged_weights_are_reported(
    damage: str, without_weights: Command, environment: dict[str, str], song: Path, tmp_path: Path
) -> None:
    here = tmp_path / "cache" / "models" / VOCALS
    here.mkdir(parents=True)
    vocals, instrumental = (real_weights(environment) / f"{name}.ckpt" for name in ("vocals", "instrumental"))
    (here / "vocals.ckpt").symlink_to(vocals.resolve())
    shutil.copyfile(instrumental, here / "instrumental.ckpt")
    with (here / "instrumental.ckpt").open("r+b") as file:
        if damage == "cut short":
            file.truncate(1_000_000)
        else:
            file.seek(1_000_000)
            file.write(b"changed")
    message = error_of(without_weights("split", song, "--model", VOCALS))
    assert VOCALS in message and "instrumental.ckpt" in message
    assert not (tmp_path / "stems").exists()
    checked = without_weights("models", "verify")
    assert checked.code == 1
    assert checked.out.splitlines() == [
        f"{VOCALS}  vocals.ckpt  ok",
        f"{VOCALS}  instrumental.ckpt  damaged",
        f"{MODEL}  {MODEL}.safetensors  ok",
    ]


def test_stems_decode_the_same_with_soundfile(unusual: tuple[Path, Done]) -> None:
    """Another library decodes the stems' WAV files to the same samples."""
    folder, done = unusual
    for path in done.named("separated")["10 ms.wav"]["files"]:
        np.testing.assert_array_equal(
            soundfile.read(folder / path, dtype="float32")[0].T, read(folder / path)[0]
        )
