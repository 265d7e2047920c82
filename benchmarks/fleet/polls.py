"""Polls per second of one API process on one core, compared with a minimal FastAPI application.

    .venv/bin/python -m benchmarks.fleet.polls            # a minute
    .venv/bin/python -m benchmarks.fleet.polls --quick

The servers use the first core, alternating; the database, the S3 server and the client use the others. Each of 32
connections polls a queued split of another account, on PostgreSQL.
"""

import argparse
import os
import statistics
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from benchmarks.fleet.cluster import START_S, Fleet, Host, fleet, free_port, is_ready, wait_until, workplace
from benchmarks.fleet.load import per_second, request
from benchmarks.fleet.rows import queued_split

CONNECTIONS = 32
WANTED = 0.25
CORE = 0
TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Served:
    """Responses per second, and microseconds of CPU time per response of the server process."""

    per_second: float
    cpu_us: float


def measure(host: Host, url: str, paths: Mapping[str, Mapping[str, str]], seconds: float) -> Served:
    """Measure a server with repeated requests for the paths, each with its headers."""
    address, port = url.split("/")[2].split(":")
    requests = [request(url + path, headers) for path, headers in paths.items()]
    before = _cpu_s(host.pid)
    answers = per_second((address, int(port)), requests * (CONNECTIONS // len(requests)), seconds)
    return Served(answers, (_cpu_s(host.pid) - before) / (answers * seconds) * 1e6)


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def _pin(pid: int) -> None:
    for task in Path(f"/proc/{pid}/task").iterdir():
        os.sched_setaffinity(int(task.name), {CORE})


def poll_targets(made: Fleet) -> dict[str, dict[str, str]]:
    """Create an account with a queued split for each connection. Returns paths and headers of polls."""
    found = {}
    for number in range(CONNECTIONS):
        key = made.new_key(f"{number}@example.com")
        with made.services.database.write() as session:
            account = made.services.accounts.find_account(session, f"{number}@example.com")
            split = queued_split(account.id)
            session.add(split)
        found[f"/v1/audio/splits/{split.id}"] = {"Authorization": f"Bearer {key}"}
    return found


def run(folder: Path, rounds: int, seconds: float) -> list[tuple[Served, Served]]:
    """Measure the minimal application and the API once per round."""
    others = os.sched_getaffinity(0) - {CORE}
    os.sched_setaffinity(0, others)  # inherited by the processes started here
    with fleet(folder, read_limit=1_000_000_000) as made:
        made.add_apis(1)
        port = free_port()
        command = [sys.executable, "-m", "benchmarks.fleet.bare", str(port)]
        bare = Host("bare", command, os.environ, folder / "bare.log")
        bare.start()
        try:
            wait_until(lambda: is_ready(f"http://127.0.0.1:{port}/constant"), START_S, str(bare.log))
            _pin(bare.pid)
            _pin(made.apis[0].pid)
            targets = poll_targets(made)
            turns = []
            # the first use of a key writes a row, and the first requests open database connections
            measure(made.apis[0], made.urls[0], targets, 1.0)
            for _ in range(rounds):
                constant = measure(bare, f"http://127.0.0.1:{port}", {"/constant": {}}, seconds)
                turns.append((constant, measure(made.apis[0], made.urls[0], targets, seconds)))
            return turns
        finally:
            bare.kill()


def main() -> None:
    """Run the benchmark and print its figures; exit with status 1 if the share is too small."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="a short run of a few seconds")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="keep the logs in a new folder")
    options = parser.parse_args()
    with workplace(options.keep) as folder:
        turns = run(folder, *((3, 1.0) if options.quick else (7, 4.0)))
    print(
        "| minimal FastAPI /s | CPU µs | polls /s | CPU µs | share | share by CPU time |\n|---|---|---|---|---|---|"
    )
    for bare, ours in turns:
        print(
            f"| {bare.per_second:.0f} | {bare.cpu_us:.0f} | {ours.per_second:.0f} | {ours.cpu_us:.0f} "
            f"| {ours.per_second / bare.per_second:.3f} | {bare.cpu_us / ours.cpu_us:.3f} |"
        )
    share = statistics.median(ours.per_second / bare.per_second for bare, ours in turns)
    print(f"polls: {share:.1%} of minimal FastAPI (target: at least {WANTED:.0%})")
    sys.exit(share < WANTED)


if __name__ == "__main__":
    main()
