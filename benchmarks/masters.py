"""Cost of the lossless masters: a song into six MP3 stems with and without them, alternating.

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


def main() -> None:
    """Run the benchmark and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=180)
    parser.add_argument("--model", default="builtin_6s")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    separator = Separator(options.model, device="cpu", threads=2)
    times: dict[bool, list[tuple[float, float]]] = {False: [], True: []}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        source = song(folder, options.seconds, "mp3")
        _separate(separator, song(folder, 10, "mp3"), folder, True)
        for number in range(options.rounds):
            for has_masters in (number % 2 == 0, number % 2 == 1):
                times[has_masters].append(_separate(separator, source, folder, has_masters))
            print(
                f"round {number + 1}: {times[False][-1]} without, {times[True][-1]} with masters", flush=True
            )
    print("| | without masters | with masters | growth |\n|---|---|---|---|")
    for column, name in enumerate(("processor, s", "wall, s")):
        without, with_ = ([each[column] for each in times[kind]] for kind in (False, True))
        growth = statistics.median(b / a for a, b in zip(without, with_, strict=True)) - 1
        print(
            f"| {name} | {statistics.median(without):.1f} | {statistics.median(with_):.1f} | {growth:+.1%} |"
        )


def _separate(separator: Separator, source: Path, folder: Path, has_masters: bool) -> tuple[float, float]:
    """Return the processor and wall seconds."""
    masters = folder / "masters" if has_masters else None
    began = time.process_time(), time.monotonic()
    separator.separate_to(source, folder / "out", format="mp3", peaks=True, masters=masters)
    return round(time.process_time() - began[0], 2), round(time.monotonic() - began[1], 2)


if __name__ == "__main__":
    main()
