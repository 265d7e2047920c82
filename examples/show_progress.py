"""Separate a song, print the progress, and cancel cleanly on Ctrl-C: python show_progress.py SONG [FOLDER].

``progress`` and ``stop`` are called after each segment, in the thread that called ``separate_to``. A canceled
separation writes nothing.
"""

import signal
import sys
import threading
from pathlib import Path

from stemsplitter import Progress, Separator
from stemsplitter.errors import Stopped


def show(progress: Progress) -> None:
    print(
        f"{progress.fraction:4.0%}  {progress.seconds:7.1f} s  {progress.speed:5.1f} × real time", flush=True
    )


def main() -> None:
    song = Path(sys.argv[1])
    folder = Path(sys.argv[2]) if len(sys.argv) > 2 else Path("stems") / song.stem
    canceled = threading.Event()
    signal.signal(signal.SIGINT, lambda *_: canceled.set())
    try:
        result = Separator().separate_to(song, folder, progress=show, stop=canceled.is_set)
    except Stopped:
        sys.exit("canceled: nothing was written")
    print(f"{len(result.files)} stems in {folder}")


if __name__ == "__main__":
    main()
