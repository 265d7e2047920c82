"""`python -m evaluation`: see evaluation/README.md."""

import argparse
import json
import math
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from evaluation.datasets import songs
from evaluation.models import load, ready_models
from evaluation.report import markdown, write
from evaluation.scores import Run, Score, absent_level, run, score, without_each_stem

README = Path(__file__).with_name("README.md")


def main() -> None:
    """Evaluate the models and print the tables; write tables, pictures and audio if requested."""
    options = _options()
    models = dict(load(options.model or ready_models()))
    gallery = None
    if options.pictures:
        # imported here, because only this needs matplotlib
        from evaluation.page import Gallery

        gallery = Gallery(options.pictures)
    scores: list[Score] = []
    absent: list[Score] = []
    runs: list[Run] = []
    for song in songs(options.devset):
        print(song.name, file=sys.stderr)
        estimates = {model: separate(song.mixture) for model, separate in models.items()}
        of_song = list(score(song, estimates))
        scores += of_song
        runs += [run(song, model, own) for model, own in estimates.items()]
        if gallery:
            gallery.add(song, estimates, of_song)
        for stem, lacking in without_each_stem(song):
            for model, separate in models.items():
                absent += absent_level(lacking, stem, model, separate)
    tables = markdown(scores, absent, runs)
    print(tables)
    if gallery:
        print(f"Pictures and audio: {gallery.write()}", file=sys.stderr)
    if options.json:
        groups: dict[str, Sequence[Score | Run]] = {"scores": scores, "absent": absent, "runs": runs}
        figures = {name: [_row(each) for each in rows] for name, rows in groups.items()}
        options.json.write_text(json.dumps(figures, indent=1, allow_nan=False), encoding="utf-8")
    if options.write:
        write(README, tables)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m evaluation", description=__doc__)
    parser.add_argument(
        "--model", action="append", default=[], help="evaluate these models only; may be repeated"
    )
    parser.add_argument("--devset", type=Path, help="a folder of songs with true stems, see the README")
    parser.add_argument(
        "--pictures", type=Path, help="a folder for spectrograms and a page that plays the stems"
    )
    parser.add_argument("--json", type=Path, help="write all figures to this file")
    parser.add_argument("--write", action="store_true", help="write the tables to evaluation/README.md")
    return parser.parse_args()


def _row(figures: Score | Run) -> dict[str, object]:
    """A row for JSON, which has no infinity: it becomes "inf" or "-inf"."""
    row = asdict(figures)
    return {key: str(value) if value in (math.inf, -math.inf) else value for key, value in row.items()}


if __name__ == "__main__":
    main()
