"""Previews of a split's stems, written by its worker after the split has succeeded."""

import contextlib
import logging
import os
import queue
import threading
from collections.abc import Mapping
from contextlib import ExitStack

from stemsplitter.audio.previews import CODECS, INDEX_MIME, write_previews
from stemsplitter.database import Database
from stemsplitter.files.temporary import temporary_folder
from stemsplitter.splits import repository
from stemsplitter.splits.endings import Endings
from stemsplitter.splits.models import SUCCEEDED, previews_folder
from stemsplitter.storage import Storage

CODEC = "opus"
NICENESS = 10  # separation and requests come first

_log = logging.getLogger(__name__)


class PreviewMaker:
    """Writes previews in a thread, one split after the other, so that no split waits for them.

    Previews are not essential: those of a worker that stops are not written, and the player loads the stems instead.
    """

    def __init__(self, database: Database, storage: Storage, endings: Endings) -> None:
        self._database, self._storage, self._endings = database, storage, endings
        self._waiting: queue.Queue[tuple[str, dict[str, str]]] = queue.Queue()
        self._thread: threading.Thread | None = None

    def submit(self, split_id: str, masters: Mapping[str, str]) -> None:
        """Write the previews of a split soon; ``masters`` maps the names of stems to storage keys."""
        self._waiting.put((split_id, dict(masters)))
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="previews", daemon=True)
            self._thread.start()

    def join(self) -> None:
        """Wait until the previews that were submitted are written."""
        self._waiting.join()

    def make(self, split_id: str, masters: Mapping[str, str]) -> None:
        """Write and store the previews, the index last. Nothing is kept of a split that was deleted meanwhile."""
        target = previews_folder(split_id, CODEC)
        with ExitStack() as stack:
            stems = {
                name: stack.enter_context(self._storage.local_file(key)) for name, key in masters.items()
            }
            folder = stack.enter_context(temporary_folder())
            previews = write_previews(stems, folder, CODEC, threads=1)
            files = [(path, CODECS[CODEC].mime) for path in previews.files.values()]
            size = sum(
                self._storage.put_file(f"{target}/{path.name}", path, mime)
                for path, mime in (*files, (previews.index, INDEX_MIME))
            )
        with self._database.write() as session:
            split = repository.find(session, split_id)
            is_kept = split is not None and split.status == SUCCEEDED and split.deleted_at is None
            if is_kept:
                self._endings.add_bytes(session, split_id, size)
        if not is_kept:
            self._storage.delete_prefix(target)

    def _run(self) -> None:
        with contextlib.suppress(OSError, AttributeError):  # of one thread on Linux only
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICENESS)
        while True:
            split_id, masters = self._waiting.get()
            try:
                self.make(split_id, masters)
            except Exception:
                _log.warning("could not write the previews of %s", split_id, exc_info=True)
            finally:
                self._waiting.task_done()
