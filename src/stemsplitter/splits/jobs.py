"""The splits as a worker's jobs: taken from the queue, renewed, given back, and taken from workers that died."""

import logging
import threading
import time
from collections.abc import Callable, Collection, Sequence
from datetime import timedelta

from stemsplitter.clock import now
from stemsplitter.database import Database, new_id
from stemsplitter.errors import StemSplitterError
from stemsplitter.splits import queue, repository
from stemsplitter.splits.models import Split
from stemsplitter.splits.processing import MAX_ATTEMPTS, SplitProcessor
from stemsplitter.splits.retry import patiently

# a version of this program before this one names no worker: when such a run has been silent for so long, it is dead
SILENCE = timedelta(minutes=10)
LOOK_SECONDS = 10.0  # at what models there are

_log = logging.getLogger(__name__)


class SplitWork:
    """The :class:`~stemsplitter.processes.loop.Jobs` of a worker.

    ``models`` tells which models can be run, ``cap`` is how many splits of one account may run at once.
    """

    def __init__(
        self, database: Database, processor: SplitProcessor, models: Callable[[], Sequence[str]], cap: int
    ) -> None:
        self._database, self._processor, self._cap = database, processor, cap
        self._find_models, self._look_at = models, 0.0
        self._models: list[str] = []
        # the leases of all that runs here, each before it is in the database
        self._runs: set[str] = set()

    def models(self) -> Sequence[str]:
        """The models whose splits are taken; what was fetched or removed meanwhile is noticed within seconds."""
        if time.monotonic() >= self._look_at:
            self._look_at = time.monotonic() + LOOK_SECONDS
            try:
                found = self._find_models()
            except StemSplitterError as error:
                _log.warning("what models there are cannot be told: %s", error)
                return self._models
            kept = [name for name in self._models if name in found]
            self._models = kept + [name for name in found if name not in kept]
        return self._models

    def take(self, worker_id: str) -> Split | None:
        """Take the split whose turn it is, with a lease; models take turns."""
        models = self.models()
        if not models:
            return None
        with self._database.read() as session:
            if not queue.has_next(session, models, self._cap):
                return None
        lease = new_id("run")
        self._runs.add(lease)
        try:
            with self._database.write() as session:
                split = queue.claim(session, models, self._cap, worker_id, lease)
        except BaseException:
            self._runs.discard(lease)  # it may have been committed all the same: then `recover` finds it
            raise
        if split is None:
            self._runs.discard(lease)
            return None
        name = split.model["name"]
        # the others are asked for first the next time
        self._models = sorted(self._models, key=lambda each: each == name)
        if split.attempts > MAX_ATTEMPTS:
            try:
                self._processor.fail_worn_out(split)
            finally:
                self._runs.discard(lease)
            return None
        return split

    def process(self, split: Split, abort: threading.Event) -> None:
        """Bring a split that was taken to its end. Raises HandedBack after ``abort`` is set."""
        leases = {split.lease or ""}

        def again(split: Split) -> Split | None:
            lease = new_id("run")
            leases.add(lease)
            self._runs.add(lease)

            def begin() -> Split | None:
                with self._database.write() as session:
                    return repository.begin(session, split.id, split.lease, lease, split.worker_id)

            return patiently(begin, abort)

        try:
            self._processor.process(split, abort, again)
        finally:
            self._runs -= leases

    def recover(self, worker_id: str) -> None:
        """Put back what this worker has taken and nobody here runs: its database was away when it mattered."""
        with self._database.read() as session:
            lost = queue.running_of(session, worker_id, self._runs)
        self._put_back([(row.id, row.lease) for row in lost], "lost by this worker")

    def reap(self, living: Callable[[], Collection[str]]) -> None:
        """Put back what workers run that do not live.

        What runs is read before who lives, and is put back only if it is still the same run: a worker that begins, or
        takes a split, meanwhile is not robbed.
        """
        with self._database.read() as session:
            running = queue.running(session)
        alive, silent = set(living()), now() - SILENCE
        dead = [
            (row.id, row.lease)
            for row in running
            if (row.worker_id not in alive if row.worker_id else row.updated_at < silent)
        ]
        self._put_back(dead, "of a worker that died")

    def hand_back(self, worker_id: str) -> None:
        """Put back all that the worker, which ends, has not handed back itself."""
        with self._database.read() as session:
            left = queue.running_of(session, worker_id)
        self._put_back([(row.id, row.lease) for row in left], "handed back")

    def _put_back(self, runs: Sequence[tuple[str, str | None]], why: str) -> None:
        for split_id, lease in runs:
            with self._database.write() as session:
                if repository.put_back(session, split_id, lease):
                    _log.warning("the split %s, %s, waits again", split_id, why)
