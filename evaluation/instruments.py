"""Compare the built-in model with and without the list of a song's instruments: `python -m evaluation.instruments`.

The list is that of the true stems, of songs in which `other` contains nothing that has a name.
"""

import argparse
import statistics
from collections.abc import Callable, Mapping
from pathlib import Path

from evaluation.datasets import SAMPLE_RATE, Audio, Song, songs
from evaluation.metrics import sdr
from evaluation.scores import scored_truths
from stemsplitter.library import Separator
from stemsplitter.separation.layouts import SIX_STEMS


def instruments(song: Song) -> tuple[str, ...] | None:
    """The instruments that the song is known to have; None if `other` may contain more."""
    unknown = set(SIX_STEMS) - song.stems.keys() - song.absent
    if "other" in song.stems and unknown:
        return None
    return tuple(stem for stem in SIX_STEMS if stem in song.stems)


def main() -> None:
    """Print the SDR of each stem of each song without and with the list, and the medians."""
    parser = argparse.ArgumentParser(prog="python -m evaluation.instruments", description=__doc__)
    parser.add_argument("--devset", type=Path, help="a folder of songs with true stems, see the README")
    options = parser.parse_args()
    separator = Separator("builtin_6s", device="cpu")

    def separate(song: Song, names: tuple[str, ...]) -> Mapping[str, Audio]:
        return separator.separate(song.mixture, sample_rate=SAMPLE_RATE, instruments=names).stems

    print_table(options.devset, SIX_STEMS, separate)


def print_table(
    devset: Path | None,
    scored: tuple[str, ...],
    separate: Callable[[Song, tuple[str, ...]], Mapping[str, Audio]],
) -> None:
    """Print the SDR of the stems ``scored`` of each song without and with its list of instruments, and the medians.

    Args:
        devset: folder of the songs.
        scored: names of stems.
        separate: separates a song that has these instruments.
    """
    found: dict[str, dict[str, list[float]]] = {"without": {}, "with": {}}
    print(f"| song | list | {' | '.join(scored)} |\n|---|---|{'---|' * len(scored)}")
    for song in songs(devset):
        listed = instruments(song)
        if listed is None:
            continue
        truths = [
            (stem, truth) for stem, truth in scored_truths(song, SIX_STEMS) if stem in scored and truth.any()
        ]
        for way, names in (("without", SIX_STEMS), ("with", listed)):
            stems = separate(song, names)
            row = {stem: sdr(truth, stems[stem]) for stem, truth in truths}
            for stem, figure in row.items():
                found[way].setdefault(stem, []).append(figure)
            print(_row(song.name, way, scored, row), flush=True)
    for way, figures in found.items():
        medians = {stem: statistics.median(values) for stem, values in figures.items()}
        print(_row("median", way, scored, medians))


def _row(song: str, way: str, scored: tuple[str, ...], figures: dict[str, float]) -> str:
    cells = (f"{figures[stem]:.1f}" if stem in figures else "" for stem in scored)
    return f"| {song} | {way} | {' | '.join(cells)} |"


if __name__ == "__main__":
    main()
