"""``python -m benchmarks.whole NAME …``: whole programs with SCNet and the RoFormers, beside msst's own command.

Both read one WAV file, separate it with the same random weights, segments and overlap on two threads in single
precision, and write WAV files with floats, alternating. Needs .venv-torch. Prints the medians of the processor seconds
and of their ratios, and the peak memory. With ``--ours``, our program runs alone, for songs of several lengths.
"""

import argparse
import json
import shutil
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.peers.msst import NETWORKS, build
from benchmarks.processes import Cost, run, timed
from benchmarks.songs import song

SEGMENTS_S = {"scnet_large": 11, "mega53": 10}  # as in the catalogue; others have 8 s
THREADS = 2


def files(name: str, folder: Path, cover: int) -> tuple[Path, Path]:
    """Write a checkpoint with random weights, once, and its configuration; return both."""
    checkpoint, configuration = folder / f"{name}.ckpt", folder / f"{name}.yaml"
    if not checkpoint.exists():
        import torch

        folder.mkdir(parents=True, exist_ok=True)
        torch.save(build(name).state_dict(), checkpoint)
    configuration.write_text(json.dumps(_configuration(name, cover)))  # JSON is YAML
    return checkpoint, configuration


def _configuration(name: str, cover: int) -> dict[str, Any]:
    kind, arguments = NETWORKS[name]
    count = 4 if kind == "scnet" else arguments.get("num_stems", 1)
    names = (
        ["vocals", "drums", "bass", "guitar", "piano"] if count == 5 else ["drums", "bass", "other", "vocals"]
    )
    one = count == 1
    return {
        "audio": {"chunk_size": SEGMENTS_S.get(name, 8) * 44_100, "num_channels": 2, "sample_rate": 44_100},
        "model": arguments,
        "training": {
            "instruments": ["vocals", "other"] if one else names,
            "target_instrument": "vocals" if one else None,
            "use_amp": False,
        },
        "inference": {"batch_size": 1, "num_overlap": cover},
    }


def ours(name: str, folder: Path, source: Path, cover: int) -> Cost:
    """Separate with this program."""
    store = {"STEMSPLITTER_CACHE_DIR": str(folder / "store"), "STEMSPLITTER_OFFLINE": "1"}
    program = [sys.executable, "-m", "stemsplitter"]
    if not (folder / "store/models" / f"{name}_random").exists():
        checkpoint, configuration = files(name, folder / "weights", cover)
        added = [*program, "models", "add", f"{name}_random", checkpoint, "--config", configuration]
        run(timed(added), store)
    out = folder / "out"
    split = [
        *program,
        "split",
        source,
        "--overwrite",
        "-o",
        out,
        "--model",
        f"{name}_random",
        "--device",
        "cpu",
    ]
    options = ["--precision", "fp32", "--threads", str(THREADS), "--overlap", str(1 - 1 / cover)]
    cost = run(timed([*split, *options, "--format", "wav32f"]), store)
    shutil.rmtree(out, ignore_errors=True)
    return cost


def theirs(name: str, folder: Path, source: Path, cover: int) -> Cost:
    """Separate with msst's command."""
    checkpoint, configuration = files(name, folder / "weights", cover)
    songs, out = folder / "in", folder / "out"
    songs.mkdir(exist_ok=True)
    shutil.copy(source, songs / source.name)
    command = [Path(sys.executable).with_name("msst-inference"), "--model_type", NETWORKS[name][0]]
    command += ["--config_path", configuration, "--start_check_point", checkpoint, "--input_folder", songs]
    command += ["--store_dir", out, "--force_cpu", "--disable_detailed_pbar"]
    cost = run(timed(command), {"OMP_NUM_THREADS": str(THREADS)})
    shutil.rmtree(songs)
    shutil.rmtree(out)
    return cost


def compare(name: str, folder: Path, seconds: float, rounds: int, cover: int) -> str:
    """Alternate both programs and return a line of the table."""
    source = song(folder, seconds, "wav16")
    ours(name, folder, song(folder, 1, "wav16"), cover)  # converts the weights, once per machine
    pairs = [(theirs(name, folder, source, cover), ours(name, folder, source, cover)) for _ in range(rounds)]
    peer, mine = (statistics.median(cost.cpu for cost in column) for column in zip(*pairs, strict=True))
    ratio = statistics.median(a.cpu / b.cpu for a, b in pairs)
    peaks = " ".join(f"{max(cost.peak_mb for cost in column):.0f} MB" for column in zip(*pairs, strict=True))
    return f"{name:16} {seconds:g} s: msst {peer:.0f} s, ours {mine:.0f} s, {ratio:.2f} ×; peaks {peaks}"


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="+", metavar="NAME", choices=NETWORKS)
    parser.add_argument("--seconds", type=float, nargs="+", default=[180])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--cover", type=int, default=2, help="segments that cover each sample")
    parser.add_argument("--ours", action="store_true", help="run our program alone")
    parser.add_argument("--folder", type=Path, default=Path("build/benchmarks"))
    options = parser.parse_args(arguments)
    folder = options.folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    for name in options.names:
        for seconds in options.seconds:
            if not options.ours:
                print(compare(name, folder, seconds, options.rounds, options.cover), flush=True)
                continue
            ours(name, folder, song(folder, 1, "wav16"), options.cover)
            cost = ours(name, folder, song(folder, seconds, "wav16"), options.cover)
            print(f"{name:16} {seconds:g} s: {cost.cpu:.0f} s, peak {cost.peak_mb:.0f} MB", flush=True)


if __name__ == "__main__":
    main()
