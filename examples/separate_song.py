"""Separate a song into one FLAC file per stem: python separate_song.py SONG [FOLDER]."""

import sys
from pathlib import Path

from stemsplitter import Separator
from stemsplitter.errors import StemSplitterError


def main() -> None:
    song = Path(sys.argv[1])
    folder = Path(sys.argv[2]) if len(sys.argv) > 2 else Path("stems") / song.stem
    separator = Separator()
    result = separator.separate_to(song, folder, format="flac")
    for warning in result.warnings:
        print(f"warning: {warning}", file=sys.stderr)
    for file in result.files:
        print(file.path)
    print(f"{result.seconds:.1f} s of audio at {result.speed:.1f} × real time on {result.device}")


if __name__ == "__main__":
    try:
        main()
    except StemSplitterError as error:
        sys.exit(f"error: {error}")
