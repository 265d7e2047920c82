"""Fairness of the queue: one account queues 50 splits, four others two each, and then two workers start.

    .venv/bin/python -m benchmarks.fleet.fairness         # a minute
    .venv/bin/python -m benchmarks.fleet.fairness --quick # the same; ends when the others' splits have started

The limit on concurrent splits per account is raised, so that only the order of the queue counts.
"""

import argparse
import sys
from pathlib import Path

from benchmarks.customers import Customer
from benchmarks.fleet.cluster import PUBLIC_URL, fleet, wait_until, workplace
from tests.acceptance.songs import encode, sung

MANY, OTHERS, EACH = 50, 4, 2
WANTED = 8
LIMIT_S = 600


def run(folder: Path, is_quick: bool) -> dict[str, list[int]]:
    """Run the benchmark. Returns the positions of each account's splits in the order of claims, from 1."""
    song = encode(folder / "song.flac", sung(88_200), 44_100, "flac").read_bytes()
    with fleet(folder, max_queued_splits=1000, max_running_splits=64) as made:
        made.add_apis(1)
        emails = ["many@example.com", *(f"few{number}@example.com" for number in range(OTHERS))]
        for email in emails:
            customer = Customer(
                made.urls, made.new_key(email), [song], "", float("inf"), public_url=PUBLIC_URL
            )
            for number in range(MANY if email == emails[0] else EACH):
                customer.create(number)
        made.add_workers(2)
        left = "status = 'queued'"
        if is_quick:
            left += f" AND account_id != (SELECT id FROM accounts WHERE email = '{emails[0]}')"
        wait_until(
            lambda: not made.query(f"SELECT id FROM jobs WHERE {left} LIMIT 1"),
            LIMIT_S,
            "splits are still queued",
        )
        claimed = made.query(
            "SELECT email FROM jobs JOIN accounts ON accounts.id = account_id WHERE started_at IS NOT NULL "
            "ORDER BY started_at, jobs.id"
        )
    positions: dict[str, list[int]] = {email: [] for email in emails}
    for position, (email,) in enumerate(claimed, start=1):
        positions[email].append(position)
    return positions


def main() -> None:
    """Run the benchmark and print the positions; exit with status 1 if an account waited too long."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="do not wait until all splits are claimed")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="keep the logs in a new folder")
    options = parser.parse_args()
    with workplace(options.keep) as folder:
        positions = run(folder, options.quick)
    print("| account | positions |\n|---|---|")
    for email, own_positions in positions.items():
        print(
            f"| {email} | {', '.join(map(str, own_positions[:10]))}{', …' if len(own_positions) > 10 else ''} |"
        )
    last = max(own_positions[0] for own_positions in list(positions.values())[1:])
    print(
        f"fairness: the other accounts' first splits were among the first {last} claims (target: at most {WANTED})"
    )
    sys.exit(last > WANTED)


if __name__ == "__main__":
    main()
