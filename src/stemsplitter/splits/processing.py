"""What a worker does with a split: separate it in the child process, store its stems, end it."""

import logging
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import structlog

from stemsplitter.audio.formats import OutputFormat
from stemsplitter.audio.peaks import MIME as PEAKS_MIME
from stemsplitter.database import Database, new_id
from stemsplitter.errors import AudioError, StemSplitterError, Stopped
from stemsplitter.jobs.separating import OutOfMemory, Separated, SeparationProcess, SeparationRequest
from stemsplitter.jobs.worker import HandedBack
from stemsplitter.settings import Settings
from stemsplitter.splits import repository
from stemsplitter.splits.choosing import separated_stems
from stemsplitter.splits.ending import Endings
from stemsplitter.splits.models import FAILED, Split, peaks_key, stems_folder
from stemsplitter.splits.service import output_format
from stemsplitter.storage import Storage

MAX_ATTEMPTS = 3
PAUSES = (2.0, 10.0)  # seconds before the second and the third attempt
LONGEST_CAUSE = 2000  # characters
WRITE_SECONDS = 0.5
CHECK_SECONDS = 1.0
# the header of a file may lie, and the limit was checked by counting; this is only so that no file is endless
SLACK_SECONDS = 1.0

_log = logging.getLogger(__name__)


class Lost(Exception):
    """The run has lost its split: it was canceled, or another worker has taken it over."""


class SplitProcessor:
    """Processes splits, one after the other, in a child process that stays. One for each worker."""

    def __init__(self, database: Database, settings: Settings, storage: Storage, endings: Endings) -> None:
        self._database, self._settings = database, settings
        self._storage, self._endings = storage, endings
        self._work = settings.data_dir / "work"
        self._process = SeparationProcess()

    def process(self, split_id: str, abort: threading.Event) -> None:
        """Bring a split to its end; harmless for one that has ended. Raises HandedBack after ``abort`` is set."""
        with structlog.contextvars.bound_contextvars(split_id=split_id):
            while (split := self._begin(split_id)) is not None:
                if self._attempt(split, abort):
                    return
                if abort.wait(PAUSES[min(split.attempts, len(PAUSES)) - 1]):
                    raise HandedBack

    def clear_work(self) -> None:
        """Delete what runs that died have left in the work folder."""
        folders = list(self._work.glob("run_*"))  # before the leases: a run has its lease first
        with self._database.read() as session:
            running = repository.leases(session)
        for folder in folders:
            if folder.name not in running:
                shutil.rmtree(folder, ignore_errors=True)

    def close(self) -> None:
        """End the child process."""
        self._process.close()

    def _begin(self, split_id: str) -> Split | None:
        """The split, with a lease of this run's own; None where it has ended, or has now."""
        with self._database.write() as session:
            split = repository.find(session, split_id, lock=True)
            if split is not None and split.attempts >= MAX_ATTEMPTS:
                message = f"The split could not be finished in {MAX_ATTEMPTS} attempts; its credits were given back."
                cause = "The worker died or fell silent in every attempt."
                self._endings.fail(session, split_id, None, "SERVER_ERROR", message, cause)
                return None
            return repository.begin(session, split_id, new_id("run"))

    def _attempt(self, split: Split, abort: threading.Event) -> bool:
        """Whether the split has come to its end, or is no longer this run's."""
        assert split.lease is not None
        try:
            self._finish(split, abort)
        except Lost:
            _log.info("the split was canceled, or taken over by another worker")
        except AudioError as error:
            self._fail(split, "VALIDATION_ERROR", str(error))
        except (StemSplitterError, OSError) as error:
            _log.warning("attempt %d failed: %s", split.attempts, error, exc_info=True)
            if split.attempts < MAX_ATTEMPTS:
                return False
            self._fail(split, *_reason(error), cause=_told(error))
        return True

    def _finish(self, split: Split, abort: threading.Event) -> None:
        lease = split.lease or ""
        with self._folder(lease) as folder:
            separated = self._separate(split, folder, abort)
            with self._database.read() as session:
                if not repository.holds(session, split.id, lease):
                    raise Lost
            stems = self._store(split, separated)
        processing = {
            "device": separated.device.partition(" ")[0],
            "seconds": separated.seconds,
            "realtimeFactor": round(separated.seconds / max(separated.audio_seconds, 1e-3), 4),
        }
        with self._database.write() as session:
            succeeded = self._endings.succeed(session, split.id, lease, stems, processing)
        if not succeeded:
            self._forget_stems(split)
            raise Lost

    def _separate(self, split: Split, folder: Path, abort: threading.Event) -> Separated:
        watch = _Watch(self._database, split.id, split.lease or "", abort)
        with self._storage.local_file(split.source_key) as source:
            request = SeparationRequest(
                model=split.model["name"],
                stems=separated_stems(split.stem_model, tuple(split.requested_stems)),
                source=str(source),
                folder=str(folder / "stems"),
                format=output_format(split),
                max_seconds=split.duration_seconds + SLACK_SECONDS,
                device=self._settings.device,
                threads=self._settings.threads,
            )
            try:
                return self._process.separate(request, watch)
            except Stopped as error:
                if watch.lost:
                    raise Lost from error
                with self._database.write() as session:
                    repository.hand_back(session, split.id, split.lease or "")
                raise HandedBack from error

    def _store(self, split: Split, separated: Separated) -> dict[str, dict[str, Any]]:
        """Put the stems, and their peaks, under keys of the split's own, so that another run of it overwrites them with
        their like."""
        mime = OutputFormat.parse(output_format(split)).mime
        stems = {}
        for name in split.requested_stems:
            path = Path(separated.stems[name])
            key = f"{stems_folder(split.id)}/{path.name}"
            stems[name] = {
                "key": key,
                "size": self._storage.put_file(key, path, mime, path.name),
                "mime": mime,
            }
        self._storage.put_file(peaks_key(split.id), separated.peaks, PEAKS_MIME)
        return stems

    def _fail(self, split: Split, code: str, message: str, cause: str | None = None) -> None:
        with self._database.write() as session:
            failed = self._endings.fail(session, split.id, split.lease, code, message, cause)
        if failed is not None:
            self._forget_stems(split)

    def _forget_stems(self, split: Split) -> None:
        """Delete what was stored for a split that has failed meanwhile; another run's stems stay."""
        with self._database.read() as session:
            now = repository.find(session, split.id)
        if now is None or now.status == FAILED or now.deleted_at is not None:
            self._storage.delete_prefix(stems_folder(split.id))

    @contextmanager
    def _folder(self, lease: str) -> Iterator[Path]:
        folder = self._work / lease
        folder.mkdir(parents=True)
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


class _Watch:
    """Told how far a separation is, writes it into the split's row now and then; true when it must stop."""

    def __init__(self, database: Database, split_id: str, lease: str, abort: threading.Event) -> None:
        self._database, self._split_id, self._lease, self._abort = database, split_id, lease, abort
        self._written, self._next_write, self._next_check = 0, 0.0, 0.0
        self.lost = False

    def __call__(self, fraction: float) -> bool:
        at, percent = time.monotonic(), min(int(fraction * 100), 99)
        if percent > self._written and at >= self._next_write:
            with self._database.write() as session:
                self.lost = not repository.advance(session, self._split_id, self._lease, percent)
            self._written, self._next_write, self._next_check = (
                percent,
                at + WRITE_SECONDS,
                at + CHECK_SECONDS,
            )
        elif at >= self._next_check:
            with self._database.read() as session:
                self.lost = not repository.holds(session, self._split_id, self._lease)
            self._next_check = at + CHECK_SECONDS
        return self.lost or self._abort.is_set()


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


def _told(error: BaseException | None) -> str:
    """What an exception says, and what each says that caused it."""
    said: list[str] = []
    while error is not None and len(said) < 8:
        said.append(f"{type(error).__name__}: {error}")
        error = error.__cause__ or error.__context__
    # PostgreSQL keeps no NUL in text
    return "\n".join(said)[:LONGEST_CAUSE].replace("\0", "�")
