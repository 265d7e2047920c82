"""Run a claimed job in one or more attempts until it ends."""

import logging
import shutil
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, ClassVar, NoReturn, TypeVar

import structlog
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from stemsplitter import tracing
from stemsplitter.audio.formats import media_type
from stemsplitter.database import Database
from stemsplitter.errors import AudioError, Stopped
from stemsplitter.jobs import repository
from stemsplitter.jobs.endings import JobEndings
from stemsplitter.jobs.models import FAILED, SPLIT, Job, outputs_folder
from stemsplitter.jobs.watch import Watch
from stemsplitter.settings import Settings
from stemsplitter.storage import Storage, StorageError
from stemsplitter.worker.pool import OutOfMemory, SeparationPool
from stemsplitter.worker.retry import is_transient, retry

MAX_ATTEMPTS = 3
PAUSES = (2.0, 10.0)  # seconds before the second and the third attempt
LONGEST_CAUSE = 2000  # characters
LEASE_LOST = "canceled or requeued"
WORK_FOLDER = "work"

Result = TypeVar("Result")
_log = logging.getLogger(__name__)


class Released(Exception):
    """The run released its job because the worker is stopping; another worker will claim it."""


class LeaseLost(Exception):
    """The run has lost its lease: the job was canceled, or another worker has claimed it."""


class JobProcessor(ABC):
    """Runs jobs, from as many threads at once as there are processes for them.

    While the database or the storage is unavailable, operations are retried for some minutes and the lease is kept. An
    attempt fails only by an error of the job itself, or when the retries are exhausted.
    """

    noun: ClassVar[str]  # for messages: "split"
    verb: ClassVar[str]  # for messages: "The song could not be separated"

    def __init__(
        self,
        database: Database,
        settings: Settings,
        storage: Storage,
        endings: JobEndings,
        pool: SeparationPool,
    ) -> None:
        self._database, self._settings = database, settings
        self._storage, self._endings, self._pool = storage, endings, pool
        self._work_folder = settings.data_dir / WORK_FOLDER

    @abstractmethod
    def _finish(self, job: Job, folder: Path, abort: threading.Event) -> None:
        """Do the work of an attempt in a temporary folder, and end the job.

        Raises:
            LeaseLost: the run has lost its lease.
            Released: ``abort`` was set.
            AudioError: the source cannot be used.
        """

    def run(self, job: Job, abort: threading.Event, next_attempt: Callable[[Job], Job | None]) -> None:
        """Run a claimed job until it ends, in one or more attempts.

        Args:
            abort: if it is set, the job is released soon.
            next_attempt: starts another attempt, with a new lease; None if the lease is lost.

        Raises:
            Released: ``abort`` was set.
            SQLAlchemyError: the database was unavailable for minutes; the job's row still has the lease.
        """
        if job.attempts == 1 and job.started_at is not None:
            tracing.record("wait", job.created_at, job.started_at, job.trace)
        with structlog.contextvars.bound_contextvars(**{f"{_word(job)}_id": job.id}), _logged(job) as log:
            while (result := self._attempt(job, abort)) is None:
                if abort.wait(PAUSES[min(job.attempts, len(PAUSES)) - 1]):
                    self._release(job, repository.requeue)
                following = next_attempt(job)
                if following is None:
                    result = LEASE_LOST
                    break
                job = following
            log["result"] = result

    def fail_exhausted(self, job: Job) -> None:
        """Fail a job whose worker died in every attempt."""
        message = (
            f"The {self.noun} could not be finished in {MAX_ATTEMPTS} attempts; its credits were given back."
        )
        self._fail(job, "SERVER_ERROR", message, "The worker died or wrote no heartbeat in every attempt.")

    def _attempt(self, job: Job, abort: threading.Event) -> str | None:
        """Return the result, in words, if the job has ended or the lease is lost; None if it is to be tried again."""
        try:
            with (
                tracing.span(job.kind, _attributes(job), parent=job.trace, kind="CONSUMER"),
                self._folder(job.lease or "") as folder,
            ):
                self._finish(job, folder, abort)
        except LeaseLost:
            self._delete_outputs(job)
            return LEASE_LOST
        except AudioError as error:
            return self._fail(job, "VALIDATION_ERROR", str(error))
        except Released:
            raise
        except Exception as error:
            if is_transient(error) and abort.is_set():
                self._release(job)
            if is_transient(error) and not isinstance(error, StorageError):
                raise
            _log.warning("attempt %d failed: %s", job.attempts, error, exc_info=True)
            if job.attempts < MAX_ATTEMPTS:
                return None
            return self._fail(job, *self._reason(error), cause=_describe(error))
        return "succeeded"

    def _watched(
        self, job: Job, abort: threading.Event, span: str, work: Callable[[Watch], Result]
    ) -> Result:
        """Return the result of ``work``, which writes its progress and stops when the lease is lost."""
        watch = Watch(self._database, job.id, job.lease or "", abort)
        try:
            with tracing.span(span):
                return work(watch)
        except Stopped as error:
            if watch.lost:
                raise LeaseLost from error
            self._release(job)

    def _local(self, stack: ExitStack, key: str, abort: threading.Event) -> Path:
        """Return the path of a stored file, until ``stack`` is closed."""
        with tracing.span("fetch source"):
            return retry(lambda: stack.enter_context(self._storage.local_file(key)), abort)

    def _succeed(self, job: Job, values: dict[str, Any], size: int, abort: threading.Event) -> None:
        """End the job with ``values``. Raises LeaseLost."""

        def succeed() -> bool:
            with self._database.write() as session:
                return self._endings.succeed(session, job.id, job.lease or "", values, size)

        with tracing.span("settle"):
            succeeded = retry(succeed, abort)
        if not succeeded:
            raise LeaseLost

    def _release(
        self, job: Job, change: Callable[[Session, str, str], object] = repository.release
    ) -> NoReturn:
        with self._database.write() as session:
            change(session, job.id, job.lease or "")
        raise Released

    def _put(self, job: Job, key: str, path: Path, mime: str, abort: threading.Event, name: str = "") -> int:
        """Store a file under a key of the job, which another run of it overwrites, and return its size.

        Raises:
            LeaseLost: the run has lost its lease.
        """

        def put() -> int:
            with self._database.read() as session:
                if not repository.has_lease(session, job.id, job.lease or ""):
                    raise LeaseLost
            return self._storage.put_file(key, path, mime, name)

        return retry(put, abort)

    def _put_audio(self, job: Job, folder: str, path: Path, abort: threading.Event) -> dict[str, Any]:
        """Store an audio file, delete it, and return its ``{"key", "size", "mime"}``. Raises LeaseLost."""
        return put_audio(
            lambda key, path, mime, name: self._put(job, key, path, mime, abort, name), folder, path
        )

    def _fail(self, job: Job, code: str, message: str, cause: str | None = None) -> str:
        def fail() -> None:
            with self._database.write() as session:
                self._endings.fail(session, job.id, job.lease, code, message, cause)

        with tracing.span("settle", parent=job.trace):
            retry(fail, threading.Event())
        self._delete_outputs(job)
        return f"failed ({code})"

    def _folders(self, job: Job) -> tuple[str, ...]:
        """Return the storage folders of what a run makes."""
        return (outputs_folder(job.id),)

    def _delete_outputs(self, job: Job) -> None:
        """Delete what was stored if the job has failed or was deleted meanwhile; keep that of another run."""
        with suppress(StorageError, OperationalError):  # the rest is deleted with the job
            with self._database.read() as session:
                now = repository.find(session, job.id)
            if now is None or now.status == FAILED or now.deleted_at is not None:
                for folder in self._folders(job):
                    self._storage.delete_prefix(folder)

    def _reason(self, error: Exception) -> tuple[str, str]:
        if isinstance(error, OutOfMemory):
            return (
                "OUT_OF_MEMORY",
                "The song needs more memory than this server has; the credits were given back.",
            )
        return "SERVER_ERROR", (
            f"{self.verb} in {MAX_ATTEMPTS} attempts, which is the server's fault; the credits were given back."
        )

    @contextmanager
    def _folder(self, lease: str) -> Iterator[Path]:
        folder = self._work_folder / lease
        folder.mkdir(parents=True)
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def put_audio(put: Callable[[str, Path, str, str], int], folder: str, path: Path) -> dict[str, Any]:
    """Store an audio file with ``put(key, path, mime, name)``, which returns its size, and delete it.

    Returns its ``{"key", "size", "mime"}``.
    """
    key, mime = f"{folder}/{path.name}", media_type(path.suffix[1:])
    size = put(key, path, mime, path.name)
    path.unlink()  # a song that is stored twice would need twice the space
    return {"key": key, "size": size, "mime": mime}


def clear_work_folder(database: Database, settings: Settings) -> None:
    """Delete the files that dead runs have left in the work folder."""
    folders = list(
        (settings.data_dir / WORK_FOLDER).glob("run_*")
    )  # listed before the leases: a run has its first
    with database.read() as session:
        running = repository.leases(session)
    for folder in folders:
        if folder.name not in running:
            shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _logged(job: Job) -> Iterator[dict[str, Any]]:
    """Log a line at the start and at the end of a run. Yields the fields of the last line, among them ``result``."""
    fields: dict[str, Any] = {"model": job.model_name, "audio_seconds": job.duration_seconds}
    _log.info("%s %s started", job.kind, job.id, extra=fields)
    began = time.monotonic()
    fields["result"] = "interrupted"
    try:
        yield fields
    except Released:
        fields["result"] = "released"
        raise
    finally:
        fields["elapsed"] = round(time.monotonic() - began, 3)
        _log.info("%s %s %s", job.kind, job.id, fields["result"], extra=fields)


def _word(job: Job) -> str:
    return "split" if job.kind == SPLIT else "job"


def _attributes(job: Job) -> tracing.Attributes:
    word = _word(job)
    return {
        f"stemsplitter.{word}.id": job.id,
        f"stemsplitter.{word}.attempt": job.attempts,
        f"stemsplitter.{word}.seconds": job.duration_seconds,
        "stemsplitter.model": job.model_name or "",
    }


def _describe(error: BaseException | None) -> str:
    """Return the messages of an exception and of its causes, one per line."""
    lines: list[str] = []
    while error is not None and len(lines) < 8:
        lines.append(f"{type(error).__name__}: {error}")
        error = error.__cause__ or error.__context__
    # PostgreSQL cannot store NUL in text
    return "\n".join(lines)[:LONGEST_CAUSE].replace("\0", "�")
