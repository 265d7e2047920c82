"""Draw a run's log: ``python -m training.plot OUT/log.jsonl curves.png``."""

import argparse
import json
from pathlib import Path

import matplotlib.pyplot as plt

from training.score import STEMS


def main() -> None:
    """Loss, and the SDR of held-out synthetic songs with the vocals of Spleeter and with three true stems, by step."""
    parser = argparse.ArgumentParser(prog="python -m training.plot", description=__doc__)
    parser.add_argument("log", type=Path)
    parser.add_argument("picture", type=Path)
    options = parser.parse_args()
    rows = [json.loads(line) for line in options.log.read_text().splitlines()]
    figure, (left, *right) = plt.subplots(1, 3, figsize=(15, 4.5), constrained_layout=True)
    left.plot([row["step"] for row in rows], [row["loss"] for row in rows], linewidth=0.8)
    left.set(title="loss of training", xlabel="step", ylabel="dB")
    for axes, (name, title) in zip(
        right, (("spleeter", "with Spleeter"), ("three", "with true vocals, drums and bass")), strict=True
    ):
        checked = [row for row in rows if name in row]
        for stem in STEMS:
            axes.plot([row["step"] for row in checked], [row[name][stem] for row in checked], label=stem)
        axes.set(title=f"held-out synthetic songs, {title}", xlabel="step", ylabel="median SDR, dB")
        axes.grid(alpha=0.3)
    figure.legend(*right[0].get_legend_handles_labels(), loc="outside lower right", ncols=len(STEMS))
    figure.savefig(options.picture, dpi=110)


if __name__ == "__main__":
    main()
