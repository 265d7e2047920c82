"""A worker that logs its separations: python worker_process.py DATABASE FOLDER STOP_SECONDS CONCURRENCY.

Its lease is long enough for any host, but checks and heartbeats are as frequent as with a short one. To expire a lease,
a test changes the heartbeat in the database, or advances the clock of all workers by the number in the file ``ahead``.
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

from stemsplitter import clock, stopping
from stemsplitter.errors import Stopped
from stemsplitter.jobs.claims import Jobs
from stemsplitter.jobs.models import SPLIT
from stemsplitter.jobs.processing import clear_work_folder
from stemsplitter.processes.loop import Worker
from stemsplitter.services import Services
from stemsplitter.settings import Settings
from stemsplitter.splits.derived.maker import FileMaker
from stemsplitter.splits.processing import SplitProcessor
from stemsplitter.webhooks.deliveries import Deliveries
from stemsplitter.worker import heartbeat
from stemsplitter.worker.maintenance import MaintenanceTask
from stemsplitter.worker.membership import WORKER
from stemsplitter.worker.pool import Separated, SeparationFailed, SeparationRequest

LEASE_S = 60.0
CHECK_SECONDS = 0.5


class Pool:
    """Returns stems of a few bytes.

    A split with ``held`` in its id runs until the file ``go_on`` exists, one with ``endless`` until it is stopped, and
    one with ``broken`` fails once.
    """

    def __init__(self, folder: Path) -> None:
        self._log_path, self._go_on = folder / "log", folder / "go_on"

    def log(self, line: str) -> None:
        with self._log_path.open("a") as file:
            file.write(f"{time.time():.3f} {line}\n")

    def separate(self, request: SeparationRequest, on_progress: Callable[[float], bool]) -> Separated:
        split_id = Path(request.source).parent.name
        self.log(f"start {split_id}")
        if "broken" in split_id and f"failed {split_id}" not in self._log_path.read_text():
            self.log(f"failed {split_id}")
            raise SeparationFailed("died")
        while "endless" in split_id or ("held" in split_id and not self._go_on.exists()):
            # a run that was suspended in this call ends as one that was suspended in the sleep
            if on_progress(0.5) and not self._go_on.exists():
                self.log(f"stopped {split_id}")
                raise Stopped("stopped")
            time.sleep(0.05)
        self.log(f"end {split_id}")
        folder = Path(request.folder)
        folder.mkdir(parents=True)  # another worker deletes the files of a run that has lost its lease
        stems = {name: str(folder / f"{name}.mp3") for name in request.stems}
        masters = {name: {"path": str(folder / f"{name}.flac"), "peak": 0.5} for name in request.stems}
        written = (*stems.values(), *(str(master["path"]) for master in masters.values()))
        peaks, overview = str(folder / "peaks.json"), str(folder / "overview.json")
        for path in (*written, peaks, overview):
            Path(path).write_bytes(b"{}")
        return Separated(stems, masters, peaks, overview, "cpu", 1.0, 1.0)


class LoggingJobs(Jobs):
    """Logs when the database is unavailable."""

    def __init__(self, pool: Pool, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._pool = pool

    def requeue_lost(self, worker_id: str) -> None:
        try:
            super().requeue_lost(worker_id)
        except OperationalError:
            self._pool.log(f"unavailable {os.getpid()}")
            raise


class LoggingDeliveries(Deliveries):
    """Logs when the worker starts to stop."""

    def __init__(self, pool: Pool, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._pool = pool

    def stop(self) -> None:
        super().stop()
        self._pool.log("stopping")


def clock_ahead(ahead: Path) -> Callable[[], datetime]:
    def now() -> datetime:
        seconds = float(ahead.read_text()) if ahead.exists() else 0
        return clock.now() + timedelta(seconds=seconds)

    return now


def main() -> None:
    with stopping.watched():
        run()


def run() -> None:
    url, folder, stop_seconds, concurrency = sys.argv[1:]
    heartbeat.HEARTBEATS_PER_LEASE = LEASE_S / CHECK_SECONDS  # type: ignore[assignment]
    heartbeat.now = clock_ahead(Path(folder) / "ahead")
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
    splits = LoggingJobs(
        pool,
        services.database,
        {SPLIT: processor},
        lambda: ["tiny_6s"],
        settings.max_running_splits,
        settings.free_turn_every,
    )
    stop = threading.Event()
    for number in stopping.SIGNALS:
        signal.signal(number, lambda *_: stop.set())
    pool.log("worker started")
    Worker(
        services.heartbeat(WORKER, splits.models(), "cpu"),
        settings,
        splits,
        LoggingDeliveries(pool, services.database, services.webhooks),
        FileMaker(services.database, services.storage, services.quotas, settings),
        maintenance=[MaintenanceTask("tidy", 3600, lambda: pool.log("maintenance"))],
        cleanup=[MaintenanceTask("clear", 0.1, lambda: clear_work_folder(services.database, settings))],
        concurrency=settings.concurrency,
    ).run(stop)


if __name__ == "__main__":
    main()
