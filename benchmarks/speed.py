"""``python -m benchmarks.speed``: wall time of whole programs on one song, alternating, as medians of ratios."""

import argparse
import json
import os
import shutil
import statistics
import sys
from dataclasses import asdict
from pathlib import Path

from benchmarks.checkpoints import SIGNATURE, random_checkpoint
from benchmarks.peers.torch_bf16 import MALLOC_SETTINGS
from benchmarks.processes import Cost, run, timed
from benchmarks.songs import song

Command = list[str | Path]


def contenders(folder: Path, source: Path, mp3: bool) -> dict[str, tuple[Command, dict[str, str]]]:
    """Commands that do the same work, by name, with their environment variables."""
    python = sys.executable
    checkpoint = random_checkpoint(folder / "weights")
    store = {"STEMSPLITTER_CACHE_DIR": str(folder / "store"), "STEMSPLITTER_OFFLINE": "1"}
    if not (folder / "store/models/random6s").exists():
        run(timed([python, "-m", "stemsplitter", "models", "add", SIGNATURE, checkpoint]), store)
    out = folder / "out"
    split: Command = [
        python,
        "-m",
        "stemsplitter",
        "split",
        source,
        "--overwrite",
        "-o",
        out,
        "--model",
        SIGNATURE,
        "--device",
        "cpu",
    ]
    demucs: Command = [python, "-m", "demucs", "--repo", checkpoint.parent, "-n", SIGNATURE]
    demucs += ["-d", "cpu", "--shifts", "0", "--overlap", "0.25", "-o", out, source]
    if mp3:
        return {
            "stemsplitter": ([*split, "--format", "mp3:320"], store),
            "demucs --mp3": ([*demucs, "--mp3"], {}),
        }
    exported = folder / "weights/random6s.onnx"
    if not exported.exists():
        run(timed([python, "-m", "benchmarks.peers.onnx_runtime", "export", checkpoint, exported]))
    return {
        "stemsplitter": ([*split, "--format", "wav16"], store),
        "stemsplitter --precision fp32": ([*split, "--format", "wav16", "--precision", "fp32"], store),
        "demucs": (demucs, {}),
        "demucs' network, bf16 and malloc settings": (
            [python, "-m", "benchmarks.peers.torch_bf16", checkpoint, source, out / "bf16"],
            MALLOC_SETTINGS,
        ),
        "ONNX Runtime": (
            [python, "-m", "benchmarks.peers.onnx_runtime", "run", exported, source, out / "onnx"],
            {},
        ),
    }


def main() -> None:
    """Run the benchmark and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=180)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument(
        "--mp3", action="store_true", help="MP3 in, six MP3 files out (default: WAV in and out)"
    )
    parser.add_argument("--folder", type=Path, default=Path("build/benchmarks"))
    options = parser.parse_args()
    folder = options.folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    source = song(folder, options.seconds, "mp3" if options.mp3 else "wav16")
    commands = contenders(folder, source, options.mp3)
    costs: dict[str, list[Cost]] = {name: [] for name in commands}
    for number in range(options.rounds + 1):
        for name, (command, environment) in commands.items():
            if number == 0 and not name.startswith("stemsplitter"):
                continue  # the first round converts the model, once per machine
            cost = run(timed(command), environment)
            shutil.rmtree(folder / "out", ignore_errors=True)
            print(number, name, json.dumps({k: round(v, 2) for k, v in asdict(cost).items()}), flush=True)
            if number:
                costs[name].append(cost)
    _table(costs, options.seconds)


def _table(costs: dict[str, list[Cost]], seconds: float) -> None:
    baseline = next(name for name in costs if name.startswith("demucs"))
    print(
        f"\n{os.cpu_count()} cores; {seconds:g} s of audio; medians of {len(costs[baseline])} alternating rounds\n"
    )
    print("| program | wall s | × real time | speed relative to demucs | CPU s | peak MB |")
    print("|---|---|---|---|---|---|")
    for name, runs in costs.items():
        wall = statistics.median(cost.wall for cost in runs)
        ratio = statistics.median(
            other.wall / cost.wall for other, cost in zip(costs[baseline], runs, strict=True)
        )
        cpu = statistics.median(cost.cpu for cost in runs)
        peak = max(cost.peak_mb for cost in runs)
        print(f"| {name} | {wall:.1f} | {seconds / wall:.1f} | {ratio:.2f} | {cpu:.1f} | {peak:.0f} |")


if __name__ == "__main__":
    main()
