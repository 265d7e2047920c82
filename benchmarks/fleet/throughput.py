"""Throughput of two workers compared with one: equal songs per minute, with one thread each.

    .venv/bin/python -m benchmarks.fleet.throughput       # on two idle cores, about five minutes
    .venv/bin/python -m benchmarks.fleet.throughput --quick

The model is a real one; `make weights` installs its weights. One and two workers alternate; each has loaded its model
before songs count. Each worker is pinned to its own core: even with one thread for the network, a worker also decodes
and encodes, and uses more than one core if it can.
"""

import argparse
import os
import statistics
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.customers import Customer
from benchmarks.fleet.cluster import PUBLIC_URL, Fleet, fleet, wait_until, workplace
from tests.acceptance.songs import encode, sung

WANTED = 1.8
LIMIT_S = 1800


def measure(made: Fleet, customer: Customer, first: int, songs: int, warm: int) -> float:
    """Measure songs per minute. The first ``warm`` songs do not count: models are loaded and requests arrive."""
    ids = [customer.create(first + number) for number in range(songs + warm)]
    names = ", ".join(f"'{split_id}'" for split_id in ids)
    ended = (
        f"SELECT finished_at FROM jobs WHERE id IN ({names}) AND status = 'succeeded' ORDER BY finished_at"
    )
    wait_until(lambda: len(made.query(ended)) == len(ids), LIMIT_S, "the songs were not separated")
    times = [at for (at,) in made.query(ended)]
    return songs / (times[-1] - times[warm - 1]) * 60_000


@contextmanager
def on_core(core: int) -> Iterator[None]:
    """Pin processes started in the block, and their children, to one core."""
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, cores)


def run(folder: Path, model: str, seconds: int, songs: int, rounds: int) -> list[tuple[float, float]]:
    """Run the benchmark. Returns songs per minute of one worker and of two for each round."""
    song = encode(folder / "song.flac", sung(seconds * 44_100), 44_100, "flac").read_bytes()
    layout = {"model_6s": model} if model != "spleeter_2s" else {"model_2s": model}
    settings = {"offline": 1, "max_running_splits": 64, "max_queued_splits": 1000, **layout}
    with fleet(folder, real_models=True, free_credits=10_000_000, **settings) as made:
        made.add_apis(1)
        wanted = {"stemModel": "2s" if "model_2s" in layout else "6s", "outputFormat": "mp3"}
        customer = Customer(
            made.urls,
            made.new_key("a@example.com"),
            [song],
            "",
            float("inf"),
            public_url=PUBLIC_URL,
            wanted=wanted,
        )
        for core in (0, 1):
            with on_core(core):
                made.add_workers(1)
        number, results = 0, []
        for _ in range(rounds):
            made.workers[1].stop()
            one = measure(made, customer, number, songs, 1)
            with on_core(1):
                made.workers[1].start()
            wait_until(lambda: made.live_workers() == 2, LIMIT_S, "the second worker did not start")
            two = measure(made, customer, number + songs + 1, 2 * songs, 2)
            number += 3 * songs + 3
            results.append((one, two))
            print(f"| {one:.2f} | {two:.2f} | {two / one:.2f} |", flush=True)
        return results


def main() -> None:
    """Run the benchmark and print its figures; exit with status 1 if the ratio is too small."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="a short run with few short songs")
    parser.add_argument("--model", default="builtin_6s", choices=("builtin_6s", "spleeter_2s"))
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="keep the logs in a new folder")
    options = parser.parse_args()
    seconds, songs, rounds = (5, 2, 1) if options.quick else (45, 6, 3)
    print(
        f"| {options.model}, {seconds} s each: one worker, songs per minute | two | ratio |\n|---|---|---|",
        flush=True,
    )
    with workplace(options.keep) as folder:
        results = run(folder, options.model, seconds, songs, rounds)
    ratio = statistics.median(two / one for one, two in results)
    print(f"throughput: two workers ÷ one worker: {ratio:.2f} (target: at least {WANTED})")
    sys.exit(ratio < WANTED)


if __name__ == "__main__":
    main()
