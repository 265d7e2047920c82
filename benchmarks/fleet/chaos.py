"""Kills, restarts and store failures while a fleet runs; then all data must be consistent, without orphaned files.

    .venv/bin/python -m benchmarks.fleet.chaos            # 300 splits, about ten minutes
    .venv/bin/python -m benchmarks.fleet.chaos --quick    # 20 splits

Three API processes and three workers on PostgreSQL and S3. Every few seconds one of them, or a process in which a
worker separates, gets SIGKILL and is started again. PostgreSQL is restarted with a fast shutdown after a third of the
kills and with an immediate one after two thirds. In between, 5 % of the calls of the store fail for a minute. Ten
accounts create splits through all API processes with idempotency keys, and cancel one in ten.
"""

import argparse
import os
import random
import signal
import statistics
import sys
import threading
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.audit import RATE, Evidence, Problems, check
from benchmarks.chaos import tree
from benchmarks.customers import PATH, Customer, Receiver
from benchmarks.fleet.cluster import PUBLIC_URL, Fleet, Host, fleet, workplace
from benchmarks.fleet.leftovers import leftovers
from tests.acceptance.songs import encode, sung

LENGTHS = (
    44_100,
    70_001,
    88_200,
    44_100,
    529_200,
)  # samples: one song in five is long enough to be interrupted
ACCOUNTS = 10
CREATORS = 6
GRANT = 10_000
LEASE_S = 5
PAUSE_S = (2.0, 6.0)  # between kills
CANCELED_OF = 10
FAILING_SHARE = 0.05
POLL_S = 0.5
END_S = 420  # for the remaining work after the kills


@dataclass
class Progress:
    """Results of polls: the progress of a split must not decrease, and its final status must not change."""

    seen: dict[str, tuple[str, int]] = field(default_factory=dict)
    problems: Problems = field(default_factory=list)
    moving: set[str] = field(default_factory=set)

    def update(self, splits: Sequence[dict[str, Any]]) -> None:
        """Compare splits with the previous polls."""
        for split in splits:
            status, progress = self.seen.get(split["id"], ("queued", 0))
            if split["progress"] < progress:
                self.problems.append(
                    f"progress of {split['id']} decreased from {progress} to {split['progress']}"
                )
            if status in ("succeeded", "failed") and split["status"] != status:
                self.problems.append(f"{split['id']} was {status} and became {split['status']}")
            if 0 < split["progress"] < 100:
                self.moving.add(split["id"])
            self.seen[split["id"]] = (split["status"], split["progress"])


@dataclass
class Events:
    """Numbers of injected faults."""

    kills: Counter[str] = field(default_factory=Counter)
    restarts_s: list[float] = field(default_factory=list)
    failing_s: float = 0.0


class Faults:
    """Injects faults: ``kills`` one after the other, and restarts and store failures after fixed shares of them."""

    def __init__(self, made: Fleet, kills: int, failing_s: float, chance: random.Random) -> None:
        self._fleet, self._kills, self._failing_s, self._chance = made, kills, failing_s, chance
        self.events = Events()
        self.progress = 0.0  # 0 to 1

    def inject(self) -> None:
        """Inject all faults."""
        for number in range(self._kills):
            time.sleep(self._chance.uniform(*PAUSE_S))
            self._kill()
            if number == self._kills // 3:
                self._restart(signal.SIGINT)
            if number == self._kills // 3 + 1:
                threading.Thread(target=self._fail_store, daemon=True).start()
            if number == 2 * self._kills // 3:
                self._restart(signal.SIGQUIT)
            self.progress = (number + 1) / self._kills
        while self._fleet.store.share:
            time.sleep(0.1)

    def _kill(self) -> None:
        host = self._chance.choice([*self._fleet.apis, *self._fleet.workers])
        what = "API" if host in self._fleet.apis else "worker"
        children = _separating(host)
        with suppress(ProcessLookupError):
            if children and self._chance.random() < 0.3:
                what = "separation"
                os.kill(self._chance.choice(children), signal.SIGKILL)
            elif self._chance.random() < 0.5:
                os.kill(host.pid, signal.SIGKILL)  # its children detect that
            else:
                what += " and its children"
                host.kill()
            self.events.kills[what] += 1

    def _restart(self, number: signal.Signals) -> None:
        began = time.monotonic()
        self._fleet.restart_postgres(number)
        self.events.restarts_s.append(time.monotonic() - began)

    def _fail_store(self) -> None:
        self._fleet.store.share = FAILING_SHARE
        time.sleep(self._failing_s)
        self._fleet.store.share = 0.0
        self.events.failing_s = self._failing_s


def _separating(host: Host) -> list[int]:
    found = []
    for pid in tree(host.pid):
        with suppress(OSError):
            if b"stemsplitter.worker.child" in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0"):
                found.append(pid)
    return found


@dataclass(frozen=True)
class Account:
    """An account and its splits."""

    email: str
    customer: Customer
    path: str
    ids: list[str]


def _create(accounts: Sequence[Account], splits: int, faults: Faults) -> None:
    """Create all splits, spread over the duration of the faults."""
    locks = [threading.Lock() for _ in accounts]

    def create(number: int) -> None:
        account, lock = accounts[number % len(accounts)], locks[number % len(accounts)]
        while faults.progress < number / splits * 0.9:
            time.sleep(0.1)
        with lock:  # ids must be in the order of songs
            split_id = account.customer.create(len(account.ids))
            account.ids.append(split_id)
        if number % CANCELED_OF == 0:
            account.customer.cancel(split_id)

    with ThreadPoolExecutor(CREATORS) as pool:
        for created in [pool.submit(create, number) for number in range(splits)]:
            created.result()


def _watch(accounts: Sequence[Account], progress: Progress, stop: threading.Event) -> None:
    while not stop.wait(POLL_S):
        for account in accounts:
            page = account.customer.data("GET", "/audio/splits", params={"limit": "20"})
            progress.update(page["items"])


def run(
    folder: Path, splits: int, kills: int, failing_s: float, seed: int
) -> tuple[dict[str, Any], Problems]:
    """Run the benchmark and audit the results. Returns figures and problems."""
    began, chance = time.monotonic(), random.Random(seed)
    songs = [encode(folder / f"{length}.flac", sung(length), RATE, "flac").read_bytes() for length in LENGTHS]
    receiver, progress, stop = Receiver(), Progress(), threading.Event()
    with (
        fleet(folder, lease_seconds=LEASE_S, free_credits=GRANT, max_queued_splits=1000) as made,
        receiver.listening() as url,
    ):
        made.add_apis(3)
        made.add_workers(3)
        # kills, restarts of PostgreSQL, and remaining work
        deadline = time.monotonic() + kills * (PAUSE_S[1] + 2) + failing_s + 2 * END_S
        accounts = [_account(made, number, songs, url, deadline, receiver) for number in range(ACCOUNTS)]
        faults = Faults(made, kills, failing_s, chance)
        watching = threading.Thread(target=_watch, args=(accounts, progress, stop), daemon=True)
        with made.supervised():
            watching.start()
            creating = threading.Thread(target=_create, args=(accounts, splits, faults), daemon=True)
            creating.start()
            faults.inject()
            creating.join(END_S)
            evidences = [_evidence(made, account, receiver) for account in accounts]
            for evidence in evidences:
                evidence.wait(deadline)
            stop.set()
            watching.join(POLL_S + 60)
            problems = [problem for evidence in evidences for problem in check(evidence)]
            problems += receiver.invalid + progress.problems + _overall(made, accounts, splits)
        for host in made.workers:
            host.stop()  # their maintenance would delete files, too
        problems += leftovers(made)
        figures = _figures(made, faults, accounts, receiver, progress)
        figures["seconds"] = round(time.monotonic() - began)
        figures["problems"] = len(problems)
        return figures, problems


def _account(
    made: Fleet, number: int, songs: Sequence[bytes], url: str, deadline: float, receiver: Receiver
) -> Account:
    email, path = f"{number}@example.com", f"{PATH}/{number}"
    customer = Customer(
        made.urls, made.new_key(email), songs, url.replace(PATH, path), deadline, public_url=PUBLIC_URL
    )
    receiver.secrets[path] = customer.data("POST", "/webhooks/secrets/rotate")["secret"]
    return Account(email, customer, path, [])


def _evidence(made: Fleet, account: Account, receiver: Receiver) -> Evidence:
    received = receiver.bodies[account.path]
    return Evidence(
        made.query, account.customer.data, received, account.ids, list(LENGTHS), GRANT, account.email
    )


def _overall(made: Fleet, accounts: Sequence[Account], splits: int) -> Problems:
    """Check the number of rows across all accounts."""
    ids = [split_id for account in accounts for split_id in account.ids]
    counted = {
        "splits": ("SELECT count(*) FROM jobs", splits),
        "different ids": ("SELECT count(DISTINCT id) FROM jobs", len(set(ids))),
        "holds": ("SELECT count(*) FROM ledger_entries WHERE kind = 'hold'", splits),
        "settlements": ("SELECT count(*) FROM ledger_entries WHERE kind IN ('settle', 'release')", splits),
        "events": ("SELECT count(*) FROM webhook_events", splits),
    }
    found = {name: (made.query(sql)[0][0], wanted) for name, (sql, wanted) in counted.items()}
    return [
        f"there are {number} {name}, not {wanted}"
        for name, (number, wanted) in found.items()
        if number != wanted
    ]


def _figures(
    made: Fleet, faults: Faults, accounts: Sequence[Account], receiver: Receiver, progress: Progress
) -> dict[str, Any]:
    rows = made.query(
        "SELECT status || coalesce(' with ' || error_code, ''), attempts, created_at, finished_at FROM jobs"
    )
    took = sorted((row[3] - row[2]) / 1000 for row in rows if row[3])
    unanswered = sum((account.customer.unanswered for account in accounts), Counter[str]())
    deliveries = [len(bodies) for received in receiver.bodies.values() for bodies in received.values()]
    figures: dict[str, Any] = {"kills": faults.events.kills.total()}
    figures |= {f"– {name}": count for name, count in sorted(faults.events.kills.items())}
    figures["restarts of PostgreSQL, s"] = ", ".join(f"{each:.1f}" for each in faults.events.restarts_s)
    figures |= {f"store calls: {name}": count for name, count in sorted(made.store.failed.items())}
    statuses, attempts = Counter(row[0] for row in rows), Counter(row[1] for row in rows)
    figures |= {f"splits that {status}": count for status, count in sorted(statuses.items())}
    figures |= {f"splits with {number} attempts": count for number, count in sorted(attempts.items())}
    figures["splits seen in progress"] = len(progress.moving)
    figures |= {f"requests retried: {reason}": count for reason, count in sorted(unanswered.items())}
    figures["webhooks, redelivered"] = f"{len(deliveries)}, {sum(deliveries) - len(deliveries)}"
    if took:
        figures["seconds from creation to end: median, maximum"] = (
            f"{statistics.median(took):.1f}, {took[-1]:.1f}"
        )
    return figures


def main() -> None:
    """Run the benchmark and print its figures and problems; exit with status 1 if there are problems."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="20 splits, 9 kills, 10 s of store failures")
    parser.add_argument("--splits", type=int)
    parser.add_argument("--kills", type=int)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 16))
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="keep the logs in a new folder")
    options = parser.parse_args()
    splits, kills, failing_s = (20, 9, 10.0) if options.quick else (300, 75, 60.0)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that the fleet is stopped, too
    with workplace(options.keep) as folder:
        figures, problems = run(
            folder, options.splits or splits, options.kills or kills, failing_s, options.seed
        )
    print(f"seed {options.seed}\n\n| | |\n|---|---|")
    for name, value in figures.items():
        print(f"| {name} | {value} |")
    for problem in problems:
        print(problem)
    print(f"chaos: {len(problems)} problems (target: 0)")
    sys.exit(bool(problems))


if __name__ == "__main__":
    main()
