"""Fetch a permissively licensed song, once, and print where it is.

It is "Metal madness" by Carlos Viola Iborra ("Sectoid"), MIT licence, out of Debian's package
`fretsonfire-songs-sectoid`, which has the guitar and the rest in two files; they are added up here. Needs
`apt-get` and `dpkg-deb`, not root.
"""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from stemsplitter.audio.decode import open_source
from stemsplitter.audio.encode import StemWriter
from stemsplitter.audio.formats import OutputFormat
from stemsplitter.audio.tags import Tags

PACKAGE = "fretsonfire-songs-sectoid"
SONG = "usr/share/games/fretsonfire/data/songs/sectoid/Metal madness"
TARGET = Path(".demo") / "Metal madness.flac"
TIMEOUT_S = 300


def main() -> None:
    """Make the song if it is not there yet."""
    if not TARGET.exists():
        TARGET.parent.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory() as folder:
            mix(unpack(Path(folder)))
    print(TARGET)


def unpack(folder: Path) -> Path:
    """Download the package by name and unpack it into ``folder``; where the song is then."""
    installed = Path("/") / SONG
    if installed.is_dir():
        return installed
    if not shutil.which("apt-get") or not shutil.which("dpkg-deb"):
        sys.exit(
            "error: the demo song comes from a Debian package: name a song of yours, make demo SONG=song.mp3."
        )
    print(f"Fetching a song once: Debian's {PACKAGE} …", file=sys.stderr)
    download = ["apt-get", "-qq", "download", PACKAGE]
    if run(download, folder) and (run(["apt-get", "-qq", "update"], folder) or run(download, folder)):
        sys.exit(
            f"error: Debian's package {PACKAGE} cannot be downloaded: run `apt-get update` as root, "
            "or name a song of yours: make demo SONG=song.mp3."
        )
    (package,) = folder.glob("*.deb")
    subprocess.run(["dpkg-deb", "--extract", package, folder], check=True, timeout=TIMEOUT_S)
    return folder / SONG


def run(command: list[str], folder: Path) -> int:
    """Run a command quietly; its exit code."""
    return subprocess.run(command, cwd=folder, capture_output=True, timeout=TIMEOUT_S, check=False).returncode


def mix(song: Path) -> None:
    """Add up the two files of the song, 3 dB softer so that no sample clips."""
    parts = []
    for name in ("guitar.ogg", "song.ogg"):
        with open_source(song / name) as source:
            parts.append(np.concatenate(list(source.blocks()), axis=1))
            rate = source.info.sample_rate
    length = max(part.shape[1] for part in parts)
    whole = sum(np.pad(part, ((0, 0), (0, length - part.shape[1]))) for part in parts)
    tags = Tags(title="Metal madness", artist="Carlos Viola Iborra (Sectoid)", comment="MIT licence")
    with StemWriter(TARGET, OutputFormat.parse("flac16"), rate, 2, tags) as writer:
        writer.write(np.asarray(whole * 10 ** (-3 / 20), np.float32))
        writer.commit()


if __name__ == "__main__":
    main()
