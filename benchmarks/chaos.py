"""SIGKILL at random moments while splits are created and processed; then every split and ledger must be consistent.

    .venv/bin/python -m benchmarks.chaos              # 40 kills over 60 splits, a few minutes
    .venv/bin/python -m benchmarks.chaos --kills 6 --splits 8 --seed 7

Starts a server on SQLite with one worker and a small model with random weights. Each kill hits the API, the worker,
the process that separates, or the whole process tree with its supervisor, which is then started again.
The seed repeats the choices, not the moments: those depend on the machine.
"""

import argparse
import os
import random
import signal
import sys
import tempfile
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from benchmarks.audit import (
    EMAIL,
    RATE,
    Evidence,
    Problems,
    check,
    has_running_split,
    integrity,
    query_sqlite,
)
from benchmarks.customers import PATH, Customer, Receiver
from tests.acceptance.server import Server
from tests.acceptance.songs import encode, sung

LENGTHS = (44_100, 70_001)  # samples: 1 s, and 1.59 s, which costs 2 credits
GRANT = 600
LEASE_S = 3
CREATORS = 4
PAUSE_S = (0.3, 6.0)  # between kills; a process needs a few seconds to restart
AHEAD = 4  # number of splits created ahead of the kills, so that there is always work in progress
CANCELED_OF = 6  # one in this many splits is canceled immediately, so that credits are released
# an idempotency key whose request ended with the API is released after two minutes
END_S = 300


class Killer:
    """Kills processes of a server; ``kills`` counts them by role."""

    def __init__(self, server: Server, chance: random.Random) -> None:
        self._server, self._chance = server, chance
        self.kills = Counter[str]()

    def kill_one(self) -> None:
        """Kill a random process at a random moment, half of the time while a split runs.

        The supervisor restarts its processes; this method restarts the supervisor.
        """
        time.sleep(self._chance.uniform(*PAUSE_S))
        if self._chance.random() < 0.5:
            deadline = time.monotonic() + PAUSE_S[1]
            while not has_running_split(self._server.database) and time.monotonic() < deadline:
                time.sleep(0.02)
            time.sleep(self._chance.uniform(0, 0.5))
        running = {role: pid for pid in tree(self._server.pid) if (role := _role(pid))}
        victim = self._chance.choice([*sorted(running), "whole tree"])
        try:
            if victim != "whole tree":
                os.kill(running[victim], signal.SIGKILL)
        except ProcessLookupError:  # the process has ended
            victim = "whole tree"
        if victim == "whole tree":
            self._kill_tree()
        self.kills[victim] += 1

    def _kill_tree(self) -> None:
        processes = [self._server.pid, *tree(self._server.pid)]
        for pid in processes:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._server.kill()
        deadline = time.monotonic() + 60
        while any(Path(f"/proc/{pid}").exists() for pid in processes):
            assert time.monotonic() < deadline, "killed processes still exist"
            time.sleep(0.02)
        self._server.start()


def tree(pid: int) -> list[int]:
    """Process ids of the descendants of a process."""
    found = []
    for path in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(OSError):  # the process has ended
            for child in path.read_text().split():
                found += [int(child), *tree(int(child))]
    return found


def _role(pid: int) -> str | None:
    roles = {b"api": "API", b"worker": "worker", b"stemsplitter.worker.child": "separation"}
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return None
    return next((roles[word] for word in words if word in roles), None)


@dataclass(frozen=True)
class Outcome:
    """Figures and problems of a run."""

    kills: Counter[str]
    statuses: Counter[str]
    attempts: Counter[int]
    deliveries: int
    events: int
    unanswered: Counter[str]
    seconds: float
    problems: Problems

    def __str__(self) -> str:
        rows = [("kills", self.kills.total())]
        rows += [(f"– {victim}", count) for victim, count in sorted(self.kills.items())]
        rows += [(f"splits that {status}", count) for status, count in sorted(self.statuses.items())]
        rows += [(f"splits with {number} attempts", count) for number, count in sorted(self.attempts.items())]
        rows += [(f"requests retried: {reason}", count) for reason, count in sorted(self.unanswered.items())]
        rows += [("webhook events", self.events), ("webhook deliveries", self.deliveries)]
        rows += [("webhooks redelivered", self.deliveries - self.events), ("problems", len(self.problems))]
        table = "\n".join(f"| {name} | {count} |" for name, count in rows)
        return f"| | |\n|---|---|\n{table}\n| seconds | {self.seconds:.0f} |"


def run(folder: Path, kills: int, splits: int, seed: int) -> Outcome:
    """Run the benchmark in a folder, then audit the results."""
    began = time.monotonic()
    # killing the whole tree includes the restart of the server
    limit_s = kills * (2 * PAUSE_S[1] + 15) + END_S
    songs = [encode(folder / f"{length}.flac", sung(length), RATE, "flac").read_bytes() for length in LENGTHS]
    server = Server(folder, lease_seconds=LEASE_S, free_credits=GRANT)
    server.start()
    receiver = Receiver()
    try:
        with receiver.listening() as url:
            customer = Customer([server.url], server.new_key(EMAIL), songs, url, began + limit_s)
            receiver.secrets[PATH] = customer.data("POST", "/webhooks/secrets/rotate")["secret"]
            killer = Killer(server, random.Random(seed))
            ids = _create_during_kills(customer, killer, kills, splits, random.Random(seed))
            received = receiver.bodies[PATH]
            evidence = Evidence(
                partial(query_sqlite, server.database), customer.data, received, ids, list(LENGTHS), GRANT
            )
            evidence.wait(time.monotonic() + END_S)
            problems = check(evidence) + integrity(server.database) + receiver.invalid
            again = [customer.create(number) for number in range(splits)]
            if again != ids:
                problems.append("a retried request returned another split")
            customer.close()
    finally:
        code = server.stop()
    if code:
        problems.append(f"the server exited with status {code}")
    return Outcome(
        killer.kills,
        Counter(status for status, _ in evidence.splits().values()),
        Counter(attempts for _, attempts in evidence.splits().values()),
        sum(map(len, received.values())),
        len(received),
        customer.unanswered,
        time.monotonic() - began,
        problems,
    )


def _create_during_kills(
    customer: Customer, killer: Killer, kills: int, splits: int, chance: random.Random
) -> list[str]:
    """Create all splits while processes are killed. Returns their ids."""
    moments = [chance.uniform(0, PAUSE_S[1]) for _ in range(splits)]
    killed = [threading.Event() for _ in range(kills)]
    aborted = threading.Event()

    def create(number: int) -> str:
        due = min((number - AHEAD) * kills // splits, kills - 1)
        if due >= 0:
            while not killed[due].wait(0.5) and not aborted.is_set():
                pass
            aborted.wait(moments[number])
        split_id = customer.create(number)
        if number % CANCELED_OF == 0:
            customer.cancel(split_id)
        return split_id

    with ThreadPoolExecutor(CREATORS) as pool:
        created = [pool.submit(create, number) for number in range(splits)]
        try:
            for event in killed:
                killer.kill_one()
                event.set()
        except BaseException:
            aborted.set()
            customer.stop_retrying()
            pool.shutdown(cancel_futures=True)
            raise
        return [each.result() for each in created]


def main() -> None:
    """Run the benchmark and print its figures and problems; exit with status 1 if there are problems."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kills", type=int, default=40)
    parser.add_argument("--splits", type=int, default=60)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 16))
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that the server is stopped, too
    with tempfile.TemporaryDirectory() as name:
        outcome = run(Path(name), options.kills, options.splits, options.seed)
    print(f"seed {options.seed}\n\n{outcome}")
    for problem in outcome.problems:
        print(problem)
    sys.exit(bool(outcome.problems))


if __name__ == "__main__":
    main()
