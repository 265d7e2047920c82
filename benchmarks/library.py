"""``python -m benchmarks.library``: many songs, one after the other, side by side, and on the workers of a cluster.

In each round: ``split --jobs 1`` and ``--jobs 2`` on all cores, then ``split --cluster`` with one and with two workers
of one thread each, whose models are loaded before; all with a manifest. Prints the medians of wall and processor
seconds (those of a cluster are the command's wall time only), and three ratios of each round's wall times with what
they must be. They hold for an idle machine of two cores; ``--songs 24 --rounds 2`` takes about six minutes there.
"""

import argparse
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from benchmarks.processes import Cost, run, timed
from benchmarks.songs import song

SPLIT = [sys.executable, "-m", "stemsplitter", "split"]
START_S = 60.0


def library(folder: Path, songs: int, seconds: float) -> Path:
    """Create a folder of ``songs`` equal songs in FLAC; return its path."""
    source = song(folder, seconds, "flac")
    target = folder / f"library-{songs}-{seconds:g}"
    target.mkdir(exist_ok=True)
    for number in range(songs):
        if not (path := target / f"{number:03}.flac").exists():
            path.hardlink_to(source)
    return target


def side_by_side(source: Path, output: Path, jobs: int) -> Cost:
    """Separate a library on this machine."""
    return run(timed([*SPLIT, source, *new_output(output), "--jobs", str(jobs)]))


def new_output(output: Path) -> list[str | Path]:
    """Delete the output of another run; return the options of a new one."""
    shutil.rmtree(output, ignore_errors=True)
    # stems are measured and songs analyzed with a manifest, and always on a cluster
    return ["-o", output, "--format", "flac", "--manifest", output / "stems.jsonl"]


def on_cluster(source: Path, output: Path, address: str) -> float:
    """Separate a library on a cluster; return the wall time of the command in seconds."""
    return run(timed([*SPLIT, source, *new_output(output), "--threads", "1", "--cluster", address])).wall


@contextmanager
def cluster(workers: int, folder: Path) -> Iterator[str]:
    """Run a scheduler and workers with one thread each on this machine; yields the address."""
    with ExitStack() as stack:
        file = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=folder))) / "scheduler.json"
        local = ["--host", "127.0.0.1", "--scheduler-file", file]
        here = ["--no-dashboard", "--port", "0"]
        programs = [["scheduler", *local, *here]]
        programs += [
            ["worker", *local, "--nthreads", "1", "--no-nanny", "--no-dashboard"] for _ in range(workers)
        ]
        for program in programs:
            command = [sys.executable, "-m", "dask", *map(str, program)]
            process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            stack.callback(process.wait, 30)
            stack.callback(process.terminate)
        _wait_for(file, workers)
        yield str(file)


def _wait_for(file: Path, workers: int) -> None:
    from distributed import Client

    deadline = time.monotonic() + START_S
    while not file.exists():
        if time.monotonic() > deadline:
            raise TimeoutError("The scheduler did not start.")
        time.sleep(0.2)
    with Client(scheduler_file=str(file)) as client:
        client.wait_for_workers(workers, timeout=START_S)


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--songs", type=int, default=60)
    parser.add_argument("--seconds", type=float, default=30)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--folder", type=Path, default=Path("build/benchmarks"))
    options = parser.parse_args(arguments)
    folder = options.folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    source, output = library(folder, options.songs, options.seconds), folder / "out"
    warm = library(folder, 4, 1)
    rounds: list[tuple[Cost, Cost, float, float]] = []
    for number in range(options.rounds):
        one, two = (side_by_side(source, output, jobs) for jobs in (1, 2))
        walls = []
        for workers in (1, 2):
            with cluster(workers, folder) as address:
                on_cluster(warm, output, address)
                walls.append(on_cluster(source, output, address))
        rounds.append((one, two, walls[0], walls[1]))
        print(
            f"round {number + 1}: {one.wall:.1f}, {two.wall:.1f}, {walls[0]:.1f}, {walls[1]:.1f} s",
            flush=True,
        )
    for jobs in (1, 2):
        costs = [measured[jobs - 1] for measured in rounds]
        wall, cpu = (statistics.median(getattr(cost, name) for cost in costs) for name in ("wall", "cpu"))
        peak = max(cost.peak_mb for cost in costs)
        print(f"--jobs {jobs}: {wall:.1f} s, {cpu:.1f} s of processor time, peak {peak:.0f} MB")
    for workers in (1, 2):
        wall = statistics.median(measured[workers + 1] for measured in rounds)
        print(f"cluster of {workers}: {wall:.1f} s")
    ratios = {
        "--jobs 2 against 1 (at least 1.15)": [one.wall / two.wall for one, two, *_ in rounds],
        "2 workers against 1 (at least 1.85)": [first / second for *_, first, second in rounds],
        "2 workers, time against --jobs 2 (at most 1.05)": [
            second / two.wall for _, two, _, second in rounds
        ],
    }
    for name, values in ratios.items():
        print(f"{name}: {statistics.median(values):.2f} ×")
    shutil.rmtree(output, ignore_errors=True)


if __name__ == "__main__":
    main()
