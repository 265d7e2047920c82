"""Run a claimed split: separate its song, store the stems, and end the split."""

import logging
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

import structlog
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from stemsplitter import tracing
from stemsplitter.audio.formats import media_type
from stemsplitter.audio.peaks import MIME as PEAKS_MIME
from stemsplitter.catalogue.qualities import overlap_of
from stemsplitter.database import Database
from stemsplitter.errors import AudioError, Stopped
from stemsplitter.files.names import shown
from stemsplitter.settings import Settings
from stemsplitter.splits import repository
from stemsplitter.splits.endings import Endings
from stemsplitter.splits.formats import output_format
from stemsplitter.splits.model_selection import separated_stems
from stemsplitter.splits.models import FAILED, Split, masters_folder, overview_key, peaks_key, stems_folder
from stemsplitter.splits.service import present
from stemsplitter.splits.sizes import SLACK_SECONDS
from stemsplitter.splits.watch import Watch
from stemsplitter.storage import Storage, StorageError
from stemsplitter.worker.pool import OutOfMemory, Separated, SeparationPool, SeparationRequest
from stemsplitter.worker.retry import is_transient, retry

MAX_ATTEMPTS = 3
PAUSES = (2.0, 10.0)  # seconds before the second and the third attempt
LONGEST_CAUSE = 2000  # characters
LEASE_LOST = "canceled or requeued"

_log = logging.getLogger(__name__)


class Released(Exception):
    """The run released its split because the worker is stopping; another worker will claim it."""


class LeaseLost(Exception):
    """The run has lost its lease: the split was canceled, or another worker has claimed it."""


@dataclass(frozen=True)
class _Stored:
    """The stored files of a split, as in its row, and the bytes of all."""

    stems: dict[str, dict[str, Any]]
    masters: dict[str, dict[str, Any]]
    size: int


class SplitProcessor:
    """Runs splits, from as many threads at once as the pool separates songs.

    While the database or the storage is unavailable, operations are retried for some minutes and the lease is kept. An
    attempt fails only by an error of the split itself, or when the retries are exhausted.
    """

    def __init__(
        self,
        database: Database,
        settings: Settings,
        storage: Storage,
        endings: Endings,
        pool: SeparationPool,
    ) -> None:
        self._database, self._settings = database, settings
        self._storage, self._endings, self._pool = storage, endings, pool
        self._work_folder = settings.data_dir / "work"

    def run(
        self, split: Split, abort: threading.Event, next_attempt: Callable[[Split], Split | None]
    ) -> None:
        """Run a claimed split until it ends, in one or more attempts.

        Args:
            abort: if it is set, the split is released soon.
            next_attempt: starts another attempt, with a new lease; None if the lease is lost.

        Raises:
            Released: ``abort`` was set.
            SQLAlchemyError: the database was unavailable for minutes; the split's row still has the lease.
        """
        if split.attempts == 1 and split.started_at is not None:
            tracing.record("wait", split.created_at, split.started_at, split.trace)
        with structlog.contextvars.bound_contextvars(split_id=split.id), _logged(split) as log:
            while (result := self._attempt(split, abort)) is None:
                if abort.wait(PAUSES[min(split.attempts, len(PAUSES)) - 1]):
                    self._release(split, repository.requeue)
                following = next_attempt(split)
                if following is None:
                    result = LEASE_LOST
                    break
                split = following
            log["result"] = result

    def clear_work_folder(self) -> None:
        """Delete the files that dead runs have left in the work folder."""
        folders = list(self._work_folder.glob("run_*"))  # listed before the leases: a run has its lease first
        with self._database.read() as session:
            running = repository.leases(session)
        for folder in folders:
            if folder.name not in running:
                shutil.rmtree(folder, ignore_errors=True)

    def fail_exhausted(self, split: Split) -> None:
        """Fail a split whose worker died in every attempt."""
        message = f"The split could not be finished in {MAX_ATTEMPTS} attempts; its credits were given back."
        self._fail(split, "SERVER_ERROR", message, "The worker died or wrote no heartbeat in every attempt.")

    def _attempt(self, split: Split, abort: threading.Event) -> str | None:
        """Return the result, in words, if the split has ended or the lease is lost; None if it is to be tried again."""
        try:
            with tracing.span("split", _attributes(split), parent=split.trace, kind="CONSUMER"):
                self._finish(split, abort)
        except LeaseLost:
            self._delete_stems(split)
            return LEASE_LOST
        except AudioError as error:
            return self._fail(split, "VALIDATION_ERROR", str(error))
        except Released:
            raise
        except Exception as error:
            if is_transient(error) and abort.is_set():
                self._release(split)
            if is_transient(error) and not isinstance(error, StorageError):
                raise
            _log.warning("attempt %d failed: %s", split.attempts, error, exc_info=True)
            if split.attempts < MAX_ATTEMPTS:
                return None
            return self._fail(split, *_reason(error), cause=_describe(error))
        return "succeeded"

    def _finish(self, split: Split, abort: threading.Event) -> None:
        lease = split.lease or ""
        with self._folder(lease) as folder:
            separated = self._separate(split, folder, abort)
            with tracing.span("store"):
                stored = self._store(split, separated, abort)
        processing = {
            "device": separated.device.partition(" ")[0],
            "seconds": separated.seconds,
            "realtimeFactor": round(separated.seconds / max(separated.audio_seconds, 1e-3), 4),
        }

        model = split.model | {"vocalsFrom": separated.vocals_from} if separated.vocals_from else None

        def succeed() -> bool:
            with self._database.write() as session:
                return self._endings.succeed(
                    session, split.id, lease, stored.stems, stored.masters, processing, stored.size, model
                )

        with tracing.span("settle"):
            succeeded = retry(succeed, abort)
        if not succeeded:
            raise LeaseLost

    def _separate(self, split: Split, folder: Path, abort: threading.Event) -> Separated:
        progress = Watch(self._database, split.id, split.lease or "", abort)
        with ExitStack() as stack:
            with tracing.span("fetch source"):
                key = split.source_key
                source = retry(lambda: stack.enter_context(self._storage.local_file(key)), abort)
            request = SeparationRequest(
                model=split.model["name"],
                stems=separated_stems(split.stem_model, tuple(split.requested_stems)),
                source=str(source),
                folder=str(folder / "stems"),
                format=output_format(split),
                max_seconds=split.duration_seconds + SLACK_SECONDS,
                instruments=present(split),
                max_sample_rate=self._settings.max_sample_rate,
                overlap=overlap_of(split.model.get("quality")),
            )
            try:
                with tracing.span("separate"):
                    return self._pool.separate(request, progress)
            except Stopped as error:
                if progress.lost:
                    raise LeaseLost from error
                self._release(split)
            except AudioError as error:
                # The user knows the song by its own name.
                raise AudioError(str(error).replace(shown(source), shown(split.filename))) from error

    def _release(
        self, split: Split, change: Callable[[Session, str, str], object] = repository.release
    ) -> NoReturn:
        with self._database.write() as session:
            change(session, split.id, split.lease or "")
        raise Released

    def _store(self, split: Split, separated: Separated, abort: threading.Event) -> _Stored:
        """Store stems, masters and peaks under keys of the split, which another run of it overwrites with the same
        content."""

        def put(key: str, path: Path, mime: str, name: str = "") -> int:
            with self._database.read() as session:
                if not repository.has_lease(session, split.id, split.lease or ""):
                    raise LeaseLost
            return self._storage.put_file(key, path, mime, name)

        def put_audio(folder: str, path: Path) -> dict[str, Any]:
            key, mime = f"{folder}/{path.name}", media_type(path.suffix[1:])
            size = retry(partial(put, key, path, mime, path.name), abort)
            path.unlink()  # a song that is stored twice would need twice the space
            return {"key": key, "size": size, "mime": mime}

        stems: dict[str, dict[str, Any]] = {}
        masters: dict[str, dict[str, Any]] = {}
        for name in split.requested_stems:
            stem, master = Path(separated.stems[name]), separated.masters[name]
            stored = put_audio(masters_folder(split.id), Path(master["path"]))
            masters[name] = stored | {"peak": master["peak"]}
            is_master = stem == Path(master["path"])
            stems[name] = stored if is_master else put_audio(stems_folder(split.id), stem)
        files = {peaks_key: separated.peaks, overview_key: separated.overview}
        peaks = sum(
            retry(partial(put, key(split.id), Path(path), PEAKS_MIME), abort) for key, path in files.items()
        )
        sizes = {file["key"]: file["size"] for file in (*stems.values(), *masters.values())}
        return _Stored(stems, masters, peaks + sum(sizes.values()))

    def _fail(self, split: Split, code: str, message: str, cause: str | None = None) -> str:
        def fail() -> None:
            with self._database.write() as session:
                self._endings.fail(session, split.id, split.lease, code, message, cause)

        with tracing.span("settle", parent=split.trace):
            retry(fail, threading.Event())
        self._delete_stems(split)
        return f"failed ({code})"

    def _delete_stems(self, split: Split) -> None:
        """Delete stored stems if the split has failed or was deleted meanwhile; keep those of another run."""
        with suppress(StorageError, OperationalError):  # the rest is deleted with the split
            with self._database.read() as session:
                now = repository.find(session, split.id)
            if now is None or now.status == FAILED or now.deleted_at is not None:
                self._storage.delete_prefix(stems_folder(split.id))
                self._storage.delete_prefix(masters_folder(split.id))

    @contextmanager
    def _folder(self, lease: str) -> Iterator[Path]:
        folder = self._work_folder / lease
        folder.mkdir(parents=True)
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _logged(split: Split) -> Iterator[dict[str, Any]]:
    """Log a line at the start and at the end of a run. Yields the fields of the last line, among them ``result``."""
    fields: dict[str, Any] = {"model": split.model["name"], "audio_seconds": split.duration_seconds}
    _log.info("split %s started", split.id, extra=fields)
    began = time.monotonic()
    fields["result"] = "interrupted"
    try:
        yield fields
    except Released:
        fields["result"] = "released"
        raise
    finally:
        fields["elapsed"] = round(time.monotonic() - began, 3)
        _log.info("split %s %s", split.id, fields["result"], extra=fields)


def _attributes(split: Split) -> tracing.Attributes:
    return {
        "stemsplitter.split.id": split.id,
        "stemsplitter.split.attempt": split.attempts,
        "stemsplitter.split.seconds": split.duration_seconds,
        "stemsplitter.model": split.model["name"],
    }


def _reason(error: Exception) -> tuple[str, str]:
    if isinstance(error, OutOfMemory):
        return (
            "OUT_OF_MEMORY",
            "The song needs more memory than this server has; the credits were given back.",
        )
    return "SERVER_ERROR", (
        f"The song could not be separated in {MAX_ATTEMPTS} attempts, which is the server's fault; "
        "the credits were given back."
    )


def _describe(error: BaseException | None) -> str:
    """Return the messages of an exception and of its causes, one per line."""
    lines: list[str] = []
    while error is not None and len(lines) < 8:
        lines.append(f"{type(error).__name__}: {error}")
        error = error.__cause__ or error.__context__
    # PostgreSQL cannot store NUL in text
    return "\n".join(lines)[:LONGEST_CAUSE].replace("\0", "�")
