"""A worker whose separations write down what happens to them: python worker_process.py DATABASE FOLDER LEASE STOP N."""

import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

from stemsplitter.application import Application
from stemsplitter.errors import Stopped
from stemsplitter.jobs.deliveries import Deliveries
from stemsplitter.jobs.membership import WORKER
from stemsplitter.jobs.separating import Separated, SeparationFailed, SeparationRequest
from stemsplitter.jobs.worker import Chore, Worker
from stemsplitter.settings import Settings
from stemsplitter.splits.processing import SplitProcessor
from stemsplitter.splits.work import SplitWork


class Pool:
    """Takes its time, as the name of the split says, and gives stems of a few bytes."""

    def __init__(self, log: Path) -> None:
        self._log = log

    def note(self, line: str) -> None:
        with self._log.open("a") as file:
            file.write(f"{time.time():.3f} {line}\n")

    def separate(self, request: SeparationRequest, watch: Callable[[float], bool]) -> Separated:
        split_id = Path(request.source).parent.name
        self.note(f"begin {split_id}")
        if "broken" in split_id and f"failed {split_id}" not in self._log.read_text():
            self.note(f"failed {split_id}")
            raise SeparationFailed("died")
        takes = {"slow": 20, "nap": 4, "half": 0.5}
        end = time.monotonic() + next((s for name, s in takes.items() if name in split_id), 0)
        while time.monotonic() < end:
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


def main() -> None:
    url, folder, lease, stop_seconds, concurrency = sys.argv[1:]
    settings = Settings(
        database_url=url,
        data_dir=Path(folder),
        lease_seconds=float(lease),
        stop_seconds=float(stop_seconds),
        concurrency=int(concurrency),
    )
    application, pool = Application(settings), Pool(Path(folder) / "log")
    processor = SplitProcessor(
        application.database,
        settings,
        application.storage,
        application.splits.endings,
        pool,  # type: ignore[arg-type]
    )
    work = SplitWork(application.database, processor, lambda: ["tiny_6s"], settings.max_running_splits)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    pool.note("start")
    Worker(
        application.heartbeat(WORKER, work.models(), "cpu"),
        settings,
        work,
        Deliveries(application.database, application.webhooks),
        chores=[Chore("tidy", 3600, lambda: pool.note("chore"))],
        concurrency=settings.concurrency,
    ).run(stop)


if __name__ == "__main__":
    main()
