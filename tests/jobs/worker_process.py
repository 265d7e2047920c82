"""A worker whose jobs write down what happens to them: python worker_process.py DATABASE LOG LEASE STOP."""

import signal
import sys
import threading
import time
from pathlib import Path

from stemsplitter.database import Database
from stemsplitter.jobs.worker import Chore, HandedBack, Handlers, Worker
from stemsplitter.settings import Settings


def main() -> None:
    url, log, lease, stop_seconds = sys.argv[1], Path(sys.argv[2]), float(sys.argv[3]), float(sys.argv[4])

    def note(line: str) -> None:
        with log.open("a") as file:
            file.write(f"{time.time():.3f} {line}\n")

    def split(split_id: str, abort: threading.Event) -> None:
        note(f"begin {split_id}")
        if "broken" in split_id and f"failed {split_id}" not in log.read_text():
            note(f"failed {split_id}")
            raise OSError("the disk is away")
        if abort.wait(20 if "slow" in split_id else 0.5 if "half" in split_id else 0):
            note(f"back {split_id}")
            raise HandedBack
        note(f"end {split_id}")

    def attempt(delivery_id: str) -> float | None:
        note(f"attempt {delivery_id}")
        return 0.1 if log.read_text().count(f"attempt {delivery_id}\n") < 3 else None

    settings = Settings(lease_seconds=lease, stop_seconds=stop_seconds, max_running_splits=2)
    chores = [Chore("tidy", 3600, lambda: note("chore"))]
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    note("start")
    Worker(Database(url), settings, Handlers(split, attempt, chores)).run(stop)


if __name__ == "__main__":
    main()
