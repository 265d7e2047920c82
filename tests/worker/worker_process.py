"""A worker whose separations write down what happens to them: python worker_process.py DATABASE FOLDER STOP N.

Its lease is long enough for any machine, but it looks, and its heart beats, as often as if that were short. A test that
needs a worker to be silent for long says so in the database, or puts the clock of all workers forward by what stands in
the file ``ahead``.
"""

import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy.exc import OperationalError

from stemsplitter import database
from stemsplitter.errors import Stopped
from stemsplitter.processes.loop import Worker
from stemsplitter.services import Services
from stemsplitter.settings import Settings
from stemsplitter.splits.jobs import SplitWork
from stemsplitter.splits.processing import SplitProcessor
from stemsplitter.webhooks.deliveries import Deliveries
from stemsplitter.worker import heartbeat
from stemsplitter.worker.membership import WORKER
from stemsplitter.worker.pool import Separated, SeparationFailed, SeparationRequest
from stemsplitter.worker.tasks import Chore

LEASE_S = 60.0
LOOK_SECONDS = 0.5


class Pool:
    """Takes its time, as the name of the split says, and gives stems of a few bytes.

    One that is ``held`` goes on until there is the file ``go_on``, and one that is ``endless`` until it is stopped.
    """

    def __init__(self, folder: Path) -> None:
        self._log, self._go_on = folder / "log", folder / "go_on"

    def note(self, line: str) -> None:
        with self._log.open("a") as file:
            file.write(f"{time.time():.3f} {line}\n")

    def separate(self, request: SeparationRequest, watch: Callable[[float], bool]) -> Separated:
        split_id = Path(request.source).parent.name
        self.note(f"begin {split_id}")
        if "broken" in split_id and f"failed {split_id}" not in self._log.read_text():
            self.note(f"failed {split_id}")
            raise SeparationFailed("died")
        while "endless" in split_id or ("held" in split_id and not self._go_on.exists()):
            if watch(0.5):
                self.note(f"back {split_id}")
                raise Stopped("stopped")
            time.sleep(0.05)
        folder = Path(request.folder)
        folder.mkdir()
        stems = {name: str(folder / f"{name}.mp3") for name in request.stems}
        for path in (*stems.values(), folder / "peaks.json"):
            Path(path).write_bytes(b"{}")
        self.note(f"end {split_id}")
        return Separated(stems, str(folder / "peaks.json"), "cpu", 1.0, 1.0, [])


class Work(SplitWork):
    """Notes when the database was found to be away."""

    def __init__(self, pool: Pool, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._pool = pool

    def recover(self, worker_id: str) -> None:
        try:
            super().recover(worker_id)
        except OperationalError:
            self._pool.note(f"away {os.getpid()}")
            raise


class Posts(Deliveries):
    """Notes when the worker has begun to stop."""

    def __init__(self, pool: Pool, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._pool = pool

    def stop(self) -> None:
        super().stop()
        self._pool.note("stopping")


def clock(ahead: Path) -> Callable[[], datetime]:
    def now() -> datetime:
        seconds = float(ahead.read_text()) if ahead.exists() else 0
        return database.now() + timedelta(seconds=seconds)

    return now


def main() -> None:
    url, folder, stop_seconds, concurrency = sys.argv[1:]
    heartbeat.BEATS_PER_LEASE = LEASE_S / LOOK_SECONDS  # type: ignore[assignment]
    heartbeat.now = clock(Path(folder) / "ahead")
    settings = Settings(
        database_url=url,
        data_dir=Path(folder),
        lease_seconds=LEASE_S,
        stop_seconds=float(stop_seconds),
        concurrency=int(concurrency),
    )
    services, pool = Services(settings), Pool(Path(folder))
    processor = SplitProcessor(
        services.database,
        settings,
        services.storage,
        services.splits.endings,
        pool,  # type: ignore[arg-type]
    )
    work = Work(pool, services.database, processor, lambda: ["tiny_6s"], settings.max_running_splits)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    pool.note("start")
    Worker(
        services.heartbeat(WORKER, work.models(), "cpu"),
        settings,
        work,
        Posts(pool, services.database, services.webhooks),
        chores=[Chore("tidy", 3600, lambda: pool.note("chore"))],
        concurrency=settings.concurrency,
    ).run(stop)


if __name__ == "__main__":
    main()
