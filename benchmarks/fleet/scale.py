"""Latency with 10,000 queued and 1,000,000 old splits, compared with an empty system.

    .venv/bin/python -m benchmarks.fleet.scale            # two minutes, 5 GB of disk
    .venv/bin/python -m benchmarks.fleet.scale --quick    # a hundredth of that

Two databases on one PostgreSQL server, each with its own API process, alternate: eight clients create splits, cancel
them, and poll. Claims call the queue as a worker does, with a queue of constant length.
"""

import argparse
import statistics
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.fleet.cluster import Fleet, beside, fleet, workplace
from benchmarks.fleet.rows import fill, queued_split
from benchmarks.service import Client, timed
from stemsplitter.database import new_id
from stemsplitter.jobs import queue
from tests.acceptance.songs import encode, sung
from tests.acceptance.tiny_model import TINY_MODEL

CLIENTS = 8
QUEUED_ACCOUNTS = 100
WANTED = 2.0
CAP = 2
FREE_EVERY = 5


@dataclass
class System:
    """System under test with its clients and measured seconds."""

    fleet: Fleet
    clients: list[Client]
    account_ids: list[str]
    polled: dict[Client, str] = field(default_factory=dict)
    created: list[float] = field(default_factory=list)
    polls: list[float] = field(default_factory=list)
    claims: list[float] = field(default_factory=list)


def system(made: Fleet, accounts: int) -> System:
    """Create accounts and start an API process; the first accounts have clients."""
    account_ids = []
    with made.services.database.write() as session:
        service = made.services.accounts
        for number in range(accounts):
            account_ids.append(service.create_account(session, f"{number}@example.com").id)
        keys = [service.create_key(session, each, "benchmark")[1] for each in account_ids[:CLIENTS]]
    made.add_apis(1)
    return System(made, [Client(made.urls[0], key) for key in keys], account_ids)


def create(each: System, clip: bytes, times: int) -> None:
    """Time concurrent creates by all clients; the upload before and the cancel after each are not timed."""

    def one(client: Client) -> None:
        source = client.upload(clip, "audio/flac")
        began = time.perf_counter()
        split_id = client.split(source)
        each.created.append(time.perf_counter() - began)
        client("POST", f"/v1/audio/splits/{split_id}/cancel", b"{}")

    timed(each.clients, times, 0, one)


def poll(each: System, times: int) -> None:
    """Time concurrent polls of queued splits by all clients."""
    if not each.polled:
        with each.fleet.services.database.write() as session:
            for client, account_id in zip(each.clients, each.account_ids, strict=False):
                split = queued_split(account_id)
                split.model_name = "another"  # so that it is never claimed
                session.add(split)
                each.polled[client] = split.id
    each.polls += timed(
        each.clients, times, 0.01, lambda client: client("GET", f"/v1/audio/splits/{each.polled[client]}")
    )


def claim(each: System, times: int) -> None:
    """Time claims; a split is queued before each claim and deleted after it."""
    database = each.fleet.services.database
    for number in range(times):
        with database.write() as session:
            session.add(queued_split(each.account_ids[number % QUEUED_ACCOUNTS]))
        began = time.perf_counter()
        with database.write() as session:
            claimed = queue.claim(session, [TINY_MODEL], CAP, FREE_EVERY, "wrk_benchmark", new_id("run"))
        each.claims.append(time.perf_counter() - began)
        assert claimed is not None
        with database.write() as session:
            session.delete(claimed)


def run(folder: Path, old: int, queued: int, rounds: int) -> tuple[System, System]:
    """Run the benchmark. Returns the empty and the large system with their times."""
    clip = encode(folder / "clip.flac", sung(44_100), 44_100, "flac").read_bytes()
    with fleet(folder, max_queued_splits=1000) as first, beside(first, folder / "large") as second:
        empty, large = system(first, QUEUED_ACCOUNTS), system(second, 1000)
        began = time.monotonic()
        fill(second, large.account_ids, old, queued, QUEUED_ACCOUNTS)
        print(f"inserted {old} old and {queued} queued splits in {time.monotonic() - began:.0f} s")
        for number in range(rounds + 1):
            for each in (empty, large):
                create(each, clip, 8)
                poll(each, 60)
            for each in (empty, large) * 8:
                claim(each, 5)
            if number == 0:  # the first round is a warm-up
                for each in (empty, large):
                    each.created, each.polls, each.claims = [], [], []
        return empty, large


def p99(seconds: list[float]) -> float:
    """99th percentile."""
    return sorted(seconds)[int(len(seconds) * 0.99)]


def main() -> None:
    """Run the benchmark and print its figures; exit with status 1 if the large system is too slow."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="100 queued and 10,000 old splits, two rounds")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="keep the logs in a new folder")
    options = parser.parse_args()
    size = (10_000, 100, 2) if options.quick else (1_000_000, 10_000, 5)
    with workplace(options.keep) as folder:
        empty, large = run(folder, *size)
    print("| | calls | empty: median ms | p99 ms | large: median ms | p99 ms | p99, large / empty |")
    print("|---|---|---|---|---|---|---|")
    ratios = []
    for name, few, many in (
        ("create", empty.created, large.created),
        ("poll", empty.polls, large.polls),
        ("claim", empty.claims, large.claims),
    ):
        ratios.append(p99(many) / p99(few))
        times = " | ".join(
            f"{statistics.median(each) * 1e3:.1f} | {p99(each) * 1e3:.1f}" for each in (few, many)
        )
        print(f"| {name} | {len(few)} | {times} | {ratios[-1]:.2f} |")
    claims = statistics.median(large.claims) / statistics.median(empty.claims)
    print(
        f"scale: {size[0]} old and {size[1]} queued splits ÷ empty system: p99 of creates {ratios[0]:.2f}, "
        f"p99 of polls {ratios[1]:.2f}, median of claims {claims:.2f} (target: at most {WANTED:.0f})"
    )
    sys.exit(max(ratios[:2]) > WANTED or claims > WANTED)


if __name__ == "__main__":
    main()
