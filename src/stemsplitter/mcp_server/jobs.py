"""Jobs: calls of tools that go on after the call has returned."""

import contextlib
import logging
import secrets
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from typing_extensions import TypedDict  # pydantic needs it before Python 3.12

from stemsplitter.errors import StemSplitterError, Stopped

KEPT = 100  # ended jobs

_log = logging.getLogger(__name__)


class JobView(TypedDict):
    """A job. ``files`` has the path of each result, ``details`` its properties; both are empty until it succeeds."""

    id: str
    tool: str
    song: str
    status: Literal["running", "succeeded", "failed"]
    progress: float
    files: dict[str, str]
    details: dict[str, Any]
    error: str | None


@dataclass
class Outcome:
    """Files by name, and properties of a result."""

    files: dict[str, Path] = field(default_factory=dict)
    details: dict[str, Any] = field(default_factory=dict)


Report = Callable[[float], None]
"""Takes the share of the work that is done, 0 to 1. Raises Stopped if the job was canceled."""
Work = Callable[[Report], Outcome]


class Job:
    """A job; ``folder``, that of its files, is removed if it fails and is empty."""

    def __init__(self, tool: str, song: str, work: Work, folder: Path | None) -> None:
        self.id = f"job_{secrets.token_hex(6)}"
        self.tool, self.song, self.folder = tool, song, folder
        self.progress = 0.0
        self.error: str | None = None
        self.outcome: Outcome | None = None
        self._work = work
        self._canceled = threading.Event()
        self._ended = threading.Event()

    @property
    def is_ended(self) -> bool:
        return self._ended.is_set()

    def cancel(self) -> None:
        """End the job at its next progress."""
        self._canceled.set()

    def run(self) -> None:
        """Do the work, unless the job is canceled. Raises nothing."""
        try:
            self._report(0)
            self.outcome = self._work(self._report)
            self.progress = 1.0
        except Stopped:
            self.error = "The job was canceled."
        except StemSplitterError as error:
            self.error = str(error)
        except Exception:
            _log.exception("%s of %s failed:", self.tool, self.song)
            self.error = "An internal error occurred: see the log of this server."
        finally:
            if self.outcome is None and self.folder is not None:
                with contextlib.suppress(OSError):
                    self.folder.rmdir()
            self._ended.set()

    def view(self) -> JobView:
        outcome = self.outcome or Outcome()
        return {
            "id": self.id,
            "tool": self.tool,
            "song": self.song,
            "status": "failed" if self.error else "succeeded" if self.is_ended else "running",
            "progress": round(self.progress, 3),
            "files": {name: str(path) for name, path in outcome.files.items()},
            "details": outcome.details,
            "error": self.error,
        }

    def _report(self, progress: float) -> None:
        if self._canceled.is_set():
            raise Stopped("The job was canceled.")
        self.progress = max(self.progress, min(progress, 0.99))


class Jobs:
    """Runs jobs in threads, ``concurrent`` at once. ``with`` cancels them at its end."""

    def __init__(self, concurrent: int) -> None:
        self._threads = ThreadPoolExecutor(concurrent, "job")
        self._jobs: dict[str, Job] = {}

    def __enter__(self) -> "Jobs":
        return self

    def __exit__(self, *_: object) -> None:
        for job in self._jobs.values():
            job.cancel()
        self._threads.shutdown()

    def start(self, tool: str, song: str, work: Work, folder: Path | None = None) -> Job:
        job = Job(tool, song, work, folder)
        ended = [each for each in self._jobs.values() if each.is_ended]
        for old in ended[: max(0, len(ended) - KEPT)]:
            del self._jobs[old.id]
        self._jobs[job.id] = job
        self._threads.submit(job.run)
        return job

    def find(self, job_id: str) -> Job | None:
        return self._jobs.get(job_id)

    def newest_first(self) -> list[Job]:
        return list(reversed(self._jobs.values()))
