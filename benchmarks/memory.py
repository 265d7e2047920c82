"""``python -m benchmarks.memory``: peak memory of the whole command for songs of different duration."""

import argparse
import shutil
import sys
from pathlib import Path

from benchmarks.checkpoints import SIGNATURE, random_checkpoint
from benchmarks.processes import run, timed
from benchmarks.songs import song


def main() -> None:
    """Run the benchmark and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default=SIGNATURE, help=f"{SIGNATURE}: htdemucs_6s with random weights")
    parser.add_argument("--minutes", type=float, nargs="+", default=[3, 60])
    parser.add_argument("--format", default="mp3:320")
    parser.add_argument("--folder", type=Path, default=Path("build/benchmarks"))
    options = parser.parse_args()
    folder = options.folder.resolve()
    environment = {"STEMSPLITTER_OFFLINE": "1"}
    if options.model == SIGNATURE:
        environment["STEMSPLITTER_CACHE_DIR"] = str(folder / "store")
        if not (folder / "store/models" / SIGNATURE).exists():
            checkpoint = random_checkpoint(folder / "weights")
            run(
                timed([sys.executable, "-m", "stemsplitter", "models", "add", SIGNATURE, checkpoint]),
                environment,
            )
    print("| model | minutes | peak MB | × real time |\n|---|---|---|---|", flush=True)
    for minutes in options.minutes:
        source = song(folder, minutes * 60, "mp3")
        command = [
            sys.executable,
            "-m",
            "stemsplitter",
            "split",
            source,
            "-o",
            folder / "out",
            "--device",
            "cpu",
        ]
        command += ["--model", options.model, "--format", options.format]
        cost = run(timed(command), environment)
        shutil.rmtree(folder / "out")
        speed = minutes * 60 / cost.wall
        print(f"| {options.model} | {minutes:g} | {cost.peak_mb:.0f} | {speed:.1f} |", flush=True)


if __name__ == "__main__":
    main()
