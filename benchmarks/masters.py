"""Cost of the lossless masters: a song into six MP3 stems without them, with raw ones and with FLAC, in turn.

A worker that stores in a folder writes raw ones, and FLAC after the split; one that stores in a bucket writes FLAC.

    .venv/bin/python -m benchmarks.masters

Processor seconds are those of the whole process, and do not depend much on what else the machine does.
"""

import argparse
import statistics
import tempfile
import time
from pathlib import Path

from benchmarks.songs import song
from stemsplitter.library import Separator

KINDS = ("none", "raw", "flac")


def main() -> None:
    """Run the benchmark and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=180)
    parser.add_argument("--model", default="builtin_6s")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    separator = Separator(options.model, device="cpu", threads=2)
    times: dict[str, list[tuple[float, float]]] = {kind: [] for kind in KINDS}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        source = song(folder, options.seconds, "mp3")
        _separate(separator, song(folder, 10, "mp3"), folder, KINDS[-1])
        for number in range(options.rounds):
            first = number % len(KINDS)
            for kind in (*KINDS[first:], *KINDS[:first]):
                times[kind].append(_separate(separator, source, folder, kind))
            print(f"round {number + 1}: {[(kind, times[kind][-1]) for kind in KINDS]}", flush=True)
    print("| masters | processor, s | growth | wall, s | growth |\n|---|---|---|---|---|")
    for kind, found in times.items():
        cells = []
        for column in (0, 1):
            pairs = [
                (each[column], without[column]) for each, without in zip(found, times["none"], strict=True)
            ]
            growth = statistics.median(with_ / without for with_, without in pairs) - 1
            cells += [f"{statistics.median(with_ for with_, _ in pairs):.2f}", f"{growth:+.1%}"]
        print(f"| {kind} | {' | '.join(cells)} |")


def _separate(separator: Separator, source: Path, folder: Path, kind: str) -> tuple[float, float]:
    """Return the processor and wall seconds."""
    masters = None if kind == "none" else folder / kind
    began = time.process_time(), time.monotonic()
    separator.separate_to(
        source, folder / "out", format="mp3", peaks=True, masters=masters, raw_masters=kind == "raw"
    )
    return round(time.process_time() - began[0], 2), round(time.monotonic() - began[1], 2)


if __name__ == "__main__":
    main()
