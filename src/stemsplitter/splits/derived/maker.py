"""Making of derived files in a worker: claims them and writes them in threads.

A file is claimed with a lease, as a split is. One whose worker dies is made by another worker. A few threads of a
worker, besides those that separate, make files, so that a file does not wait for a song. Another thread makes previews
and measures stems in the background, at a low priority, so that a file that was requested does not wait for them.
"""

import contextlib
import logging
import os
import threading
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from sqlalchemy.orm import Session

from stemsplitter.audio.decode import open_source
from stemsplitter.clock import now
from stemsplitter.database import Database, new_id
from stemsplitter.files.temporary import temporary_folder
from stemsplitter.quotas.service import Quotas
from stemsplitter.settings import Settings
from stemsplitter.splits.derived import repository
from stemsplitter.splits.derived.content import MEASUREMENT, PREVIEWS, Content
from stemsplitter.splits.derived.measurement import measure
from stemsplitter.splits.derived.models import (
    FAILED,
    QUEUED,
    SUCCEEDED,
    DerivedFile,
    delete_stored,
    derived_key,
)
from stemsplitter.splits.derived.previews import make_previews
from stemsplitter.splits.derived.rendering import Rendered, render, song_tags
from stemsplitter.splits.masters import RAW, RAW_KEPT, current_key, raw, store_flac, write_flac
from stemsplitter.splits.models import Split, masters_folder
from stemsplitter.splits.repository import set_measured
from stemsplitter.storage import Storage
from stemsplitter.worker.retry import delay, is_transient, retry

MADE_AT_ONCE = 2  # each uses a core for some seconds
MAX_ATTEMPTS = 3
POLLING_SECONDS, BACKGROUND_POLLING_SECONDS = 0.2, 1.0
BACKGROUND_NICENESS = 10  # separation and requests come first

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Made:
    """A file that is stored: its bytes, other values of its row, and values of the split that were measured.

    ``replaced`` is the bytes of the raw masters that FLAC replaces.
    """

    size: int
    values: dict[str, Any]
    measured: dict[str, Any] | None = None
    replaced: int = 0


class FileMaker:
    """Makes derived files until it is stopped. Thread-safe."""

    def __init__(self, database: Database, storage: Storage, quotas: Quotas, settings: Settings) -> None:
        self._database, self._storage, self._quotas = database, storage, quotas
        self._kept = timedelta(seconds=settings.derived_file_seconds)
        self._stopping = threading.Event()
        self._claiming = {
            False: threading.Lock(),
            True: threading.Lock(),
        }  # of requested files and in the background
        self._leases: set[str] = set()
        self._threads: list[threading.Thread] = []

    def start(self, worker_id: str) -> None:
        """Start to claim and make files."""
        names = [*(f"file {number}" for number in range(1, MADE_AT_ONCE + 1)), "background"]
        self._threads = [
            threading.Thread(target=self._run, args=(worker_id, name == "background"), name=name, daemon=True)
            for name in names
        ]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Claim no more files. Those claimed are still made."""
        self._stopping.set()

    def wait_idle(self, seconds: float) -> None:
        """Wait for the files that are being made."""
        deadline = time.monotonic() + seconds
        for thread in self._threads:
            thread.join(max(deadline - time.monotonic(), 0))

    def make_next(self, worker_id: str, *, background: bool = False) -> bool:
        """Make the next requested file, or the next previews or measurement. False if there is none."""
        with self._claiming[background]:  # one thread polls for all
            file = self._claim(worker_id, background)
            if file is None and self._threads:
                self._stopping.wait(BACKGROUND_POLLING_SECONDS if background else POLLING_SECONDS)
        if file is None:
            return False
        try:
            self._make(file)
        finally:
            self._leases.discard(file.lease or "")
        return True

    def requeue_lost(self, worker_id: str) -> None:
        """Requeue files claimed by this worker that no thread makes: the database failed at the commit of the claim."""
        self._requeue(lambda other: other == worker_id, self._leases)

    def requeue_dead(self, live: Callable[[], Collection[str]]) -> None:
        """Requeue files whose worker is not among the ``live`` ones; runs are read before live workers."""
        with self._database.read() as session:
            running = repository.running(session)
        if running:
            workers = set(live())
            self._end([(row.id, row.lease) for row in running if row.worker_id not in workers])

    def requeue_own(self, worker_id: str) -> None:
        """Requeue all files of this worker, when it stops."""
        self._requeue(lambda other: other == worker_id)

    def _run(self, worker_id: str, background: bool) -> None:
        if background:
            with contextlib.suppress(OSError, AttributeError):  # of one thread on Linux only
                os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), BACKGROUND_NICENESS)
        failures = 0
        while not self._stopping.is_set():
            try:
                self.make_next(worker_id, background=background)
                failures = 0
            except Exception:
                seconds = delay(failures)
                failures += 1
                _log.exception("could not make a file, retrying in %g s", seconds)
                self._stopping.wait(seconds)

    def _claim(self, worker_id: str, background: bool = False) -> DerivedFile | None:
        if self._stopping.is_set() or self._quotas.is_disk_full():
            return None
        with self._database.read() as session:
            if repository.next_queued(session, background=background) is None:
                return None
        lease = new_id("run")
        self._leases.add(lease)
        file = None
        try:
            with self._database.write() as session:
                found = repository.next_queued(session, background=background)
                file = None if found is None else repository.start(session, found, lease, worker_id)
        finally:
            if file is None:
                self._leases.discard(lease)
        return file

    def _make(self, file: DerivedFile) -> None:
        with self._database.read() as session:
            split = session.get(Split, file.split_id)
        try:
            if split is None or split.deleted_at is not None or file.attempts > MAX_ATTEMPTS:
                raise _Impossible("its split was deleted, or its worker died in every attempt")
            with temporary_folder() as folder:
                made = self._stored(split, file, folder)
        except Exception as error:
            self._fail(file, error)
            return
        self._succeed(file, made)

    def _stored(self, split: Split, file: DerivedFile, folder: Path) -> _Made:
        content = Content.load(file.content)
        names = [level.stem for level in content.levels]
        with self._local(split, names) as masters:
            if content.kind == MEASUREMENT:
                measured = measure(split.stem_model, masters)
                replaceable = raw(split)
                flac = self._compressed(split, masters, folder) if replaceable else {}
                if not flac:
                    return _Made(0, {}, measured)
                replaced = sum(master["size"] for master in replaceable.values())
                return _Made(0, {}, measured | {"masters": flac}, replaced)
            if content.kind == PREVIEWS:
                size = make_previews(self._storage, file, masters, folder)
                return _Made(size, {"expires_at": split.expires_at})
            with open_source(masters[names[0]]) as source:
                tags = song_tags(source.info.tags, names[0])
            peak = max(master["peak"] for master in (split.masters or {}).values())
            made = render(content, masters, peak, folder, tags)
        size = self._store(split, file, made)
        return _Made(size, {"peak": made.peak, "gain": made.gain, "expires_at": now() + self._kept})

    def _compressed(self, split: Split, masters: dict[str, Path], folder: Path) -> dict[str, dict[str, Any]]:
        name, path = next(iter(masters.items()))
        with open_source(path) as source:
            tags = song_tags(source.info.tags, name)
        files = write_flac(masters, tags, folder)
        return retry(lambda: store_flac(self._storage, split, files), self._stopping)

    @contextmanager
    def _local(self, split: Split, names: list[str]) -> Iterator[dict[str, Path]]:
        with ExitStack() as stack:
            keys = {name: (split.masters or {})[name]["key"] for name in names}

            def fetch(key: str) -> Path:
                return stack.enter_context(self._storage.local_file(current_key(self._storage, key)))

            yield {
                name: retry(lambda key=key: fetch(key), self._stopping)  # type: ignore[misc]
                for name, key in keys.items()
            }

    def _store(self, split: Split, file: DerivedFile, made: Rendered) -> int:
        content = Content.load(file.content)
        key, filename = derived_key(split.id, file.id), content.filename(split)
        return retry(lambda: self._storage.put_file(key, made.path, content.mime, filename), self._stopping)

    def _succeed(self, file: DerivedFile, made: _Made) -> None:
        values = {"status": SUCCEEDED, "size": made.size, "finished_at": now(), **made.values}

        def succeed() -> bool:
            with self._database.write() as session:
                ended = repository.end(session, file.id, file.lease or "", values)
                if ended:
                    self._quotas.record(session, file.split_id, made.size, name=file.id)
                if ended and made.measured is not None:
                    set_measured(session, file.split_id, made.measured)
                if ended and made.replaced:
                    self._count_replaced(session, file, made)
                return ended

        if not retry(succeed, self._stopping):
            self._delete_unknown(file)

    def _count_replaced(self, session: Session, file: DerivedFile, made: _Made) -> None:
        """Count the FLAC masters, and the raw ones until maintenance deletes them."""
        flac = sum(master["size"] for master in (made.measured or {})["masters"].values())
        before = self._quotas.reserved(session, file.split_id)
        self._quotas.record(session, file.split_id, before - made.replaced + flac)
        self._quotas.add(
            session, file.account_id, file.split_id, made.replaced, name=RAW, expires_at=now() + RAW_KEPT
        )

    def _fail(self, file: DerivedFile, error: Exception) -> None:
        is_last = file.attempts >= MAX_ATTEMPTS or isinstance(error, _Impossible)
        if self._stopping.is_set() and is_transient(error):
            is_last = False
        level = logging.ERROR if is_last else logging.WARNING
        _log.log(level, "file %s of %s could not be made: %s", file.id, file.split_id, error, exc_info=True)
        values = {"status": FAILED, "finished_at": now()} if is_last else {"status": QUEUED}

        def fail() -> bool:
            with self._database.write() as session:
                ended = repository.end(session, file.id, file.lease or "", values)
                if ended and is_last:
                    self._quotas.expire(session, file.split_id, file.id)
                return ended

        if not retry(fail, self._stopping):
            self._delete_unknown(file)

    def _delete_unknown(self, file: DerivedFile) -> None:
        """Delete what was stored if its row is gone, because the split was deleted."""
        with self._database.read() as session:
            exists = repository.existing(session, [file.id])
        if exists:
            return
        if file.kind == MEASUREMENT:
            self._storage.delete_prefix(masters_folder(file.split_id))
        else:
            delete_stored(self._storage, file.split_id, file.id)

    def _requeue(self, is_own: Callable[[str], bool], leases: Collection[str] = ()) -> None:
        with self._database.read() as session:
            running = repository.running(session)
        lost = [(row.id, row.lease) for row in running if is_own(row.worker_id) and row.lease not in leases]
        self._end(lost)

    def _end(self, runs: list[tuple[str, str]]) -> None:
        for file_id, lease in runs:
            with self._database.write() as session:
                if repository.end(session, file_id, lease, {"status": QUEUED}):
                    _log.warning("file %s requeued", file_id)


class _Impossible(Exception):
    """The file cannot be made, however often it is tried."""
