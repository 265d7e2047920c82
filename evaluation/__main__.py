"""`python -m evaluation`: see evaluation/README.md."""

import argparse
import json
import math
from dataclasses import asdict
from pathlib import Path

from evaluation.datasets import songs
from evaluation.models import load, ready_models
from evaluation.report import markdown, write
from evaluation.scores import Run, Score, evaluate

README = Path(__file__).with_name("README.md")


def main() -> None:
    """Score the models, print the tables, and keep them where asked."""
    parser = argparse.ArgumentParser(prog="python -m evaluation", description=__doc__)
    parser.add_argument(
        "--model", action="append", default=[], help="score these models only; may be repeated"
    )
    parser.add_argument("--devset", type=Path, help="a folder of songs with true stems, see the README")
    parser.add_argument("--json", type=Path, help="write all figures to this file")
    parser.add_argument("--write", action="store_true", help="put the tables into evaluation/README.md")
    options = parser.parse_args()
    scores, runs = evaluate(list(songs(options.devset)), load(options.model or ready_models()))
    tables = markdown(scores, runs)
    print(tables)
    if options.json:
        figures = {"scores": [_row(score) for score in scores], "runs": [_row(run) for run in runs]}
        options.json.write_text(json.dumps(figures, indent=1, allow_nan=False), encoding="utf-8")
    if options.write:
        write(README, tables)


def _row(figures: Score | Run) -> dict[str, object]:
    """A row of JSON, which has no infinity: it becomes "inf" or "-inf"."""
    row = asdict(figures)
    return {key: str(value) if value in (math.inf, -math.inf) else value for key, value in row.items()}


if __name__ == "__main__":
    main()
