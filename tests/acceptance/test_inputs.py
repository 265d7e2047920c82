"""Every input format is separated into stems of the same length that add up to the mixture."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import av
import numpy as np
import pytest
import soundfile

from .command import Command, Done
from .songs import TAGS, Samples, dbfs, encode, read, sung


class Input(NamedTuple):
    """Encoding of a song; `video` is the encoder of an added video track."""

    codec: str
    rate: int = 44_100
    channels: int = 2
    video: str = ""


INPUTS = {
    "16 bit.wav": Input("pcm_s16le"),
    "24 bit.wav": Input("pcm_s24le", 48_000),
    "32 bit.wav": Input("pcm_s32le", 88_200),
    "32 bit float.wav": Input("pcm_f32le", 96_000),
    "64 bit float.wav": Input("pcm_f64le", 192_000),
    "8 bit at 8 kHz.wav": Input("pcm_u8", 8_000, 1),
    "surround.wav": Input("pcm_s16le", 48_000, 6),
    "stereo.mp3": Input("libmp3lame"),
    "mono at 22 kHz.mp3": Input("libmp3lame", 22_050, 1),
    "stereo.flac": Input("flac"),
    "mono at 192 kHz.flac": Input("flac", 192_000, 1),
    "surround.flac": Input("flac", 48_000, 6),
    "stereo.ogg": Input("vorbis"),
    "stereo.opus": Input("libopus", 48_000),
    "mono.opus": Input("libopus", 48_000, 1),
    "stereo.m4a": Input("aac"),
    "surround.m4a": Input("aac", 48_000, 6),
    "lossless.m4a": Input("alac"),
    "stereo.aiff": Input("pcm_s16be"),
    "24 bit mono.aif": Input("pcm_s24be", 32_000, 1),
    "film.webm": Input("libopus", 48_000, video="libvpx"),
    "film.mp4": Input("aac", video="mpeg4"),
    "film.mkv": Input("flac", 48_000, video="mpeg4"),
}
LOSSLESS = {
    "pcm_s16le",
    "pcm_s24le",
    "pcm_s32le",
    "pcm_f32le",
    "pcm_f64le",
    "flac",
    "alac",
    "pcm_s16be",
    "pcm_s24be",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with a song in each format, all of different lengths around 1.5 seconds."""
    folder = tmp_path_factory.mktemp("inputs")
    (folder / "songs").mkdir()
    for number, (name, kind) in enumerate(INPUTS.items()):
        path = folder / "songs" / name
        samples = sung(3 * kind.rate // 2 + 371 * number, kind.channels, kind.rate)
        if kind.codec == "vorbis":  # real files come from libvorbis rather than FFmpeg's encoder
            soundfile.write(path, samples.T, kind.rate, format="OGG", subtype="VORBIS")
        else:
            layout = "5.1" if kind.channels == 6 else ""
            encode(path, samples, kind.rate, kind.codec, layout, kind.video, **TAGS)
    return folder


@pytest.fixture(scope="module")
def done(folder: Path, command_in: Callable[[Path], Command]) -> Done:
    """Run on all songs."""
    return command_in(folder)("split", "songs", "--format", "wav32f", "--verify", "--json")


def stems_of(done: Done, folder: Path, name: str) -> dict[str, Samples]:
    """Read a song's stems with another library than the one that wrote them."""
    stems = done.named("separated")[name]["stems"]
    return {
        stem: soundfile.read(folder / told["path"], dtype="float32", always_2d=True)[0].T
        for stem, told in stems.items()
    }


def test_every_format_is_separated(done: Done) -> None:
    assert (done.code, done.err) == (0, "")
    assert set(done.named("separated")) == set(INPUTS)


@pytest.mark.parametrize("name", INPUTS)
def test_stems_have_length_and_rate_of_mixture(name: str, done: Done, folder: Path) -> None:
    number, kind = list(INPUTS).index(name), INPUTS[name]
    samples = 3 * kind.rate // 2 + 371 * number
    told = done.named("separated")[name]
    assert (told["samples"], told["sample_rate"], told["warnings"]) == (samples, kind.rate, [])
    for stem in told["stems"].values():
        info = soundfile.info(folder / stem["path"])
        assert (info.frames, info.samplerate, info.channels) == (samples, kind.rate, min(kind.channels, 2))
        assert info.subtype == "FLOAT"


@pytest.mark.parametrize("name", INPUTS)
def test_stems_add_up_to_mixture(name: str, done: Done, folder: Path) -> None:
    stems = stems_of(done, folder, name)
    assert all(dbfs(stem) > -60 for stem in stems.values()), "a silent stem proves nothing"
    mixture, _ = read(folder / "songs" / name)
    assert dbfs(sum(stems.values()) - mixture) <= -90
    told = done.named("separated")[name]
    assert told["residual_dbfs"] <= -90 and told["encoded_residual_dbfs"] <= -90 and told["gain"] == 1


@pytest.mark.parametrize(
    "name", [n for n, kind in INPUTS.items() if kind.codec in LOSSLESS and kind.channels < 3]
)
def test_stems_add_up_to_original_samples(name: str, done: Done, folder: Path) -> None:
    """Compare with the original samples, without this package's decoder: no sample is lost or shifted."""
    kind = INPUTS[name]
    total = sum(stems_of(done, folder, name).values())
    original = sung(total.shape[1], kind.channels, kind.rate)
    assert dbfs(total - original) <= -90


def test_tags_are_copied(done: Done, folder: Path) -> None:
    for name in ("stereo.mp3", "stereo.opus", "film.mp4", "stereo.flac"):
        for stem, told in done.named("separated")[name]["stems"].items():
            with av.open(str(folder / told["path"])) as file:
                tags = file.metadata
            assert (tags["title"], tags["artist"], tags["album"]) == (
                f"Ein Lied ({stem})",
                "Wir",
                "Die Platte",
            )


def test_drums_are_not_in_the_vocals(folder: Path, command_in: Callable[[Path], Command]) -> None:
    """The network separates: the energy of the drums above 6 kHz is in the instrumental."""
    options = ("--stems", "2s", "--format", "wav32f", "-o", "two", "--json")
    done = command_in(folder)("split", "songs/16 bit.wav", *options)
    stems = stems_of(done, folder, "16 bit.wav")
    high = {name: np.square(np.abs(np.fft.rfft(stem[0]))[9_000:]).sum() for name, stem in stems.items()}
    assert high["instrumental"] > 10 * high["vocals"]
