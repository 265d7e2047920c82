"""Download a permissively licensed song, once, and print its path.

It is "Metal madness" by Carlos Viola Iborra ("Sectoid"), MIT license, from Debian's package
`fretsonfire-songs-sectoid`, which contains the guitar and the rest in two files; their sum is the song. Needs
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
    """Create the song if it does not exist."""
    if not TARGET.exists():
        TARGET.parent.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory() as folder:
            mix(unpack(Path(folder)))
    print(TARGET)


def unpack(folder: Path) -> Path:
    """Download and unpack the package into ``folder``. Return the folder of the song."""
    installed = Path("/") / SONG
    if installed.is_dir():
        return installed
    if not shutil.which("apt-get") or not shutil.which("dpkg-deb"):
        sys.exit(
            "error: the demo song is in a Debian package, which needs apt-get and dpkg-deb: "
            "use your own song, make start SONG=song.mp3."
        )
    print(f"Downloading the demo song, once: Debian's {PACKAGE} …", file=sys.stderr)
    download = ["apt-get", "-qq", "download", PACKAGE]
    if run(download, folder) and (run(["apt-get", "-qq", "update"], folder) or run(download, folder)):
        sys.exit(
            f"error: Debian's package {PACKAGE} cannot be downloaded: run `apt-get update` as root, "
            "or use your own song: make start SONG=song.mp3."
        )
    (package,) = folder.glob("*.deb")
    subprocess.run(["dpkg-deb", "--extract", package, folder], check=True, timeout=TIMEOUT_S)
    return folder / SONG


def run(command: list[str], folder: Path) -> int:
    """Run a command without output. Return its exit code."""
    return subprocess.run(command, cwd=folder, capture_output=True, timeout=TIMEOUT_S, check=False).returncode


def mix(song: Path) -> None:
    """Mix the two files of the song, attenuated by 3 dB to avoid clipping."""
    parts = []
    for name in ("guitar.ogg", "song.ogg"):
        with open_source(song / name) as source:
            parts.append(np.concatenate(list(source.blocks()), axis=1))
            rate = source.info.sample_rate
    length = max(part.shape[1] for part in parts)
    whole = sum(np.pad(part, ((0, 0), (0, length - part.shape[1]))) for part in parts)
    tags = Tags(title="Metal madness", artist="Carlos Viola Iborra (Sectoid)", comment="MIT license")
    with StemWriter(TARGET, OutputFormat.parse("flac16"), rate, 2, tags) as writer:
        writer.write(np.asarray(whole * 10 ** (-3 / 20), np.float32))
        writer.commit()


if __name__ == "__main__":
    main()
