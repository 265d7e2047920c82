"""A worker that is frozen past its lease and woken: what it brings late is refused, and there is one settlement.

    .venv/bin/python -m benchmarks.fleet.frozen           # three times two minutes at most
    .venv/bin/python -m benchmarks.fleet.frozen --quick   # the hardest of the three

It is frozen while it separates; alone, so that its child finishes and the result waits for it; and when it is about to
store its first stem. Each time another worker takes the split over, and ends it, before the first is woken.
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
REFUSED = "taken over by another worker"  # what a worker says of a result that is refused


def run(folder: Path, moments: list[str]) -> tuple[list[str], Problems]:
    """Freeze a worker at each of the moments: a line for each, and what is wrong."""
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
            lines.append(f"| {moment} | {'as it must be' if not found else '; '.join(found)} |")
        told = {event: len(set(bodies)) for event, bodies in receiver.bodies[PATH].items()}
        if list(told.values()) != [1] * len(moments) * 2:
            problems.append(f"{len(told)} webhooks came for {2 * len(moments)} splits")
    return lines, problems + receiver.invalid


def _freeze(made: Fleet, customer: Customer, number: int, moment: str) -> Problems:
    first = made.workers[0]
    split_id = customer.create(2 * number)
    row: Callable[[], dict[str, Any]] = lambda: customer.data("GET", f"/audio/splits/{split_id}")  # noqa: E731
    if moment == "about to store its first stem":
        frozen: list[str] = []

        def freeze(method: str, path: str) -> None:
            if method == "PUT" and f"{split_id}/stems/" in path and not frozen:
                first.signal(signal.SIGSTOP)
                frozen.append(path)

        made.store.before = freeze
        wait_until(lambda: frozen, LIMIT_S, "no stem was stored")
    else:
        wait_until(lambda: row()["progress"] > 0, LIMIT_S, "nothing was separated")
        if moment == "alone, while its child goes on":
            os.kill(first.pid, signal.SIGSTOP)
        else:
            first.signal(signal.SIGSTOP)
    said = first.log.read_text().count(REFUSED)
    second = made.add_worker()
    wait_until(lambda: row()["status"] == "succeeded", LIMIT_S, f"{split_id} was not taken over")
    before, stems = _state(made, split_id), _stems(made, split_id)
    first.signal(signal.SIGCONT)
    wait_until(
        lambda: first.log.read_text().count(REFUSED) > said, LIMIT_S, "the late result was not refused"
    )
    second.stop()
    another = customer.create(2 * number + 1)
    wait_until(
        lambda: customer.data("GET", f"/audio/splits/{another}")["status"] == "succeeded",
        LIMIT_S,
        "the woken worker works no more",
    )
    wait_until(lambda: _delivered(made), LIMIT_S, "a webhook was not delivered")
    problems = []
    if _state(made, split_id) != before:
        problems.append("the woken worker changed the split's row or its ledger")
    if _stems(made, split_id) != stems or len(stems) != 7:  # six, and their peaks
        problems.append("the stems are not those that were there before it woke")
    attempts, kinds, events = before[0]
    if (attempts, kinds, events) != (2, ["hold", "settle"], 1):
        problems.append(f"{attempts} attempts, entries {kinds}, {events} events")
    return problems


def _delivered(made: Fleet) -> bool:
    return not made.query("SELECT id FROM webhook_deliveries WHERE status = 'pending'")


def _state(made: Fleet, split_id: str) -> tuple[Any, ...]:
    """Attempts, kinds of entries and number of events; and the whole row."""
    of_split = f"WHERE split_id = '{split_id}'"
    (row,) = made.query(f"SELECT * FROM splits WHERE id = '{split_id}'")
    (attempts,) = made.query(f"SELECT attempts FROM splits WHERE id = '{split_id}'")
    kinds = [kind for (kind,) in made.query(f"SELECT kind FROM ledger_entries {of_split} ORDER BY kind")]
    (events,) = made.query(f"SELECT count(*) FROM webhook_events {of_split}")
    return (attempts[0], kinds, events[0]), row


def _stems(made: Fleet, split_id: str) -> dict[str, str]:
    """Key → SHA-256 of what is stored."""
    storage = made.services.storage
    keys = [stored.key for stored in storage.list_prefix(f"splits/{split_id}/stems")]
    return {key: hashlib.sha256(b"".join(storage.read(key))).hexdigest() for key in keys}


MOMENTS = ["while it separates", "alone, while its child goes on", "about to store its first stem"]


def main() -> None:
    """Do it, print a table, and end with 1 where something is wrong."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="the last of the moments only")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="keep the logs in a new folder")
    options = parser.parse_args()
    with workplace(options.keep) as folder:
        lines, problems = run(folder, MOMENTS[-1:] if options.quick else MOMENTS)
    print("| frozen | woken past its lease |\n|---|---|", *lines, sep="\n")
    for problem in problems:
        print(problem)
    print(f"frozen: {len(problems)} problems (none is wanted)")
    sys.exit(bool(problems))


if __name__ == "__main__":
    main()
