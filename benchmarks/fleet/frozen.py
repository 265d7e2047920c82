"""A worker that is frozen past its lease and resumed: its late result is refused, and credits are settled once.

    .venv/bin/python -m benchmarks.fleet.frozen           # at most three times two minutes
    .venv/bin/python -m benchmarks.fleet.frozen --quick   # the hardest of the three

The worker is frozen while it separates; without its child, which completes the result meanwhile; and before it stores
its first stem. Each time another worker takes over the split and ends it before the first resumes.
"""

import argparse
import hashlib
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.audit import Problems
from benchmarks.customers import PATH, Customer, Receiver
from benchmarks.fleet.cluster import PUBLIC_URL, Fleet, fleet, wait_until, workplace
from tests.acceptance.songs import encode, sung

LEASE_S = 3
SONG_S = 40
LIMIT_S = 120
REFUSED = "lease lost"  # log message about a refused result


def run(folder: Path, moments: list[str]) -> tuple[list[str], Problems]:
    """Freeze a worker at each of the moments. Returns a line of the table for each, and problems."""
    song = encode(folder / "song.flac", sung(SONG_S * 44_100), 44_100, "flac").read_bytes()
    lines, problems = [], []
    receiver = Receiver()
    with fleet(folder, lease_seconds=LEASE_S) as made, receiver.listening() as url:
        made.add_apis(1)
        customer = Customer(
            made.urls, made.new_key("a@example.com"), [song], url, float("inf"), public_url=PUBLIC_URL
        )
        receiver.secrets[PATH] = customer.data("POST", "/webhooks/secrets/rotate")["secret"]
        made.add_workers(1)
        for number, moment in enumerate(moments):
            found = _freeze(made, customer, number, moment)
            problems += [f"{moment}: {problem}" for problem in found]
            lines.append(f"| {moment} | {'correct' if not found else '; '.join(found)} |")
        events = {event: len(set(bodies)) for event, bodies in receiver.bodies[PATH].items()}
        if list(events.values()) != [1] * len(moments) * 2:
            problems.append(f"{len(events)} webhooks were received for {2 * len(moments)} splits")
    return lines, problems + receiver.invalid


def _freeze(made: Fleet, customer: Customer, number: int, moment: str) -> Problems:
    first = made.workers[0]
    split_id = customer.create(2 * number)
    row: Callable[[], dict[str, Any]] = lambda: customer.data("GET", f"/audio/splits/{split_id}")  # noqa: E731
    if moment == "before it stores its first stem":
        frozen: list[str] = []

        def freeze(method: str, path: str) -> None:
            if method == "PUT" and f"{split_id}/stems/" in path and not frozen:
                first.signal(signal.SIGSTOP)
                frozen.append(path)

        made.store.before = freeze
        wait_until(lambda: frozen, LIMIT_S, "no stem was stored")
    else:
        wait_until(lambda: row()["progress"] > 0, LIMIT_S, "nothing was separated")
        if moment == "without its child":
            os.kill(first.pid, signal.SIGSTOP)
        else:
            first.signal(signal.SIGSTOP)
    refused_before = first.log.read_text().count(REFUSED)
    second = made.add_worker()
    wait_until(lambda: row()["status"] == "succeeded", LIMIT_S, f"{split_id} was not taken over")
    before, stems = _state(made, split_id), _stems(made, split_id)
    first.signal(signal.SIGCONT)
    wait_until(
        lambda: first.log.read_text().count(REFUSED) > refused_before,
        LIMIT_S,
        "the late result was not refused",
    )
    second.stop()
    another = customer.create(2 * number + 1)
    wait_until(
        lambda: customer.data("GET", f"/audio/splits/{another}")["status"] == "succeeded",
        LIMIT_S,
        "the resumed worker runs no split",
    )
    wait_until(lambda: _delivered(made), LIMIT_S, "a webhook was not delivered")
    problems = []
    if _state(made, split_id) != before:
        problems.append("the resumed worker changed the row of the split or its ledger entries")
    if _stems(made, split_id) != stems or len(stems) != 7:  # six stems and their peaks
        problems.append("the resumed worker changed the stems")
    attempts, kinds, events = before[0]
    if (attempts, kinds, events) != (2, ["hold", "settle"], 1):
        problems.append(f"{attempts} attempts, ledger entries {kinds}, {events} events")
    return problems


def _delivered(made: Fleet) -> bool:
    return not made.query("SELECT id FROM webhook_deliveries WHERE status = 'pending'")


def _state(made: Fleet, split_id: str) -> tuple[Any, ...]:
    """Query attempts, kinds of ledger entries and number of events, and the whole row."""
    of_split = f"WHERE split_id = '{split_id}'"
    (row,) = made.query(f"SELECT * FROM jobs WHERE id = '{split_id}'")
    (attempts,) = made.query(f"SELECT attempts FROM jobs WHERE id = '{split_id}'")
    kinds = [kind for (kind,) in made.query(f"SELECT kind FROM ledger_entries {of_split} ORDER BY kind")]
    (events,) = made.query(f"SELECT count(*) FROM webhook_events {of_split}")
    return (attempts[0], kinds, events[0]), row


def _stems(made: Fleet, split_id: str) -> dict[str, str]:
    """Map the key of each stored file to its SHA-256."""
    storage = made.services.storage
    keys = [stored.key for stored in storage.list_prefix(f"splits/{split_id}/stems")]
    return {key: hashlib.sha256(b"".join(storage.read(key))).hexdigest() for key in keys}


MOMENTS = ["while it separates", "without its child", "before it stores its first stem"]


def main() -> None:
    """Run the benchmark and print a table; exit with status 1 if there are problems."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="the last of the moments only")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="keep the logs in a new folder")
    options = parser.parse_args()
    with workplace(options.keep) as folder:
        lines, problems = run(folder, MOMENTS[-1:] if options.quick else MOMENTS)
    print("| frozen | resumed after its lease |\n|---|---|", *lines, sep="\n")
    for problem in problems:
        print(problem)
    print(f"frozen: {len(problems)} problems (target: 0)")
    sys.exit(bool(problems))


if __name__ == "__main__":
    main()
