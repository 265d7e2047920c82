"""Encoding of the files of all stems of a song in threads, committed together."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from stemsplitter.audio.encode import StemWriter
from stemsplitter.audio.formats import OutputFormat
from stemsplitter.audio.tags import Tags
from stemsplitter.files.folder import OutputFolder

Samples = npt.NDArray[np.float32]

_JOIN_SECONDS = 1.0


@dataclass(frozen=True)
class WrittenStem:
    """A written stem: ``samples`` per channel; ``peak`` is the largest absolute sample, 1.0 being full scale."""

    name: str
    path: Path
    samples: int
    peak: float


class StemEncoders(ABC):
    """Encoders of the stems of a song, whose files all get their names, or none. Base class.

    A subclass sets what :meth:`_path` and :meth:`_close` use before it calls the initializer, which locks the folders
    and opens the files. As a context manager it discards uncommitted files.
    """

    def __init__(
        self,
        stems: Iterable[str],
        fmt: OutputFormat,
        sample_rate: int,
        channels: int,
        tags: Tags | None,
        threads: int,
    ) -> None:
        self._format, self._rate, self._channels, self._tags = fmt, sample_rate, channels, tags or Tags()
        self._peaks = dict.fromkeys(stems, 0.0)
        self._writers: dict[str, StemWriter] = {}
        self._pending: list[Future[None]] = []
        self._folders: list[OutputFolder] = []
        self._pool = ThreadPoolExecutor(
            max_workers=max(1, min(threads, len(self._peaks))), thread_name_prefix="encode"
        )
        try:
            for folder in dict.fromkeys(self._path(name).parent for name in self._peaks):
                self._folders.append(OutputFolder(folder))
            for name in self._peaks:
                self._writers[name] = self._writer(name)
        except BaseException:
            self.discard()
            raise

    @abstractmethod
    def _path(self, name: str) -> Path:
        """Return the path of a stem's file."""

    def _close(self) -> None:  # noqa: B027
        """Close what a subclass has opened."""

    def _writer(self, name: str) -> StemWriter:
        return StemWriter(
            self._path(name), self._format, self._rate, self._channels, self._tags.for_stem(name)
        )

    def _run(self, work: Callable[..., None], calls: Iterable[tuple[Any, ...]]) -> None:
        """Call ``work`` with each of the tuples of arguments, in threads."""
        self._pending = [self._pool.submit(work, *arguments) for arguments in calls]

    def _run_all(self, work: Callable[[str], None]) -> None:
        """Call ``work`` for every stem, in threads, and wait."""
        self._run(work, [(name,) for name in self._peaks])
        self._wait()

    def _wait(self) -> None:
        """Wait for the last calls and raise their exception, if any."""
        wait(self._pending)
        pending, self._pending = self._pending, []
        for future in pending:
            future.result()

    def _encode_again(self, name: str, gain: float = 1.0) -> StemWriter:
        """Encode what was written of a stem again, multiplied by ``gain``, and return its new writer."""
        first, second = self._writers[name], self._writer(name)
        self._writers[name] = second
        try:
            for block in first.reread():
                second.write(block * np.float32(gain))
        finally:
            first.discard()
        return second

    def _name_all(self, gain: float = 1.0) -> list[WrittenStem]:
        """Give the finished files their names, replacing any files of those names; ``gain`` is that of the peaks."""
        written: list[WrittenStem] = []
        try:
            for name, writer in self._writers.items():
                writer.commit()
                written.append(WrittenStem(name, writer.path, writer.samples, self._peaks[name] * gain))
        except BaseException:
            for stem in written:
                stem.path.unlink(missing_ok=True)
            raise
        self._release(keep=True)
        return written

    def discard(self) -> None:
        """Delete all files. Idempotent; does nothing after the commit."""
        self._release(keep=False)

    def _release(self, *, keep: bool) -> None:
        for future in self._pending:
            future.cancel()
        # a thread that still writes to a disk that does not respond keeps its file, which has no name
        is_done = not wait(self._pending, _JOIN_SECONDS).not_done
        self._pool.shutdown(wait=is_done)
        if is_done:
            for writer in self._writers.values():
                writer.discard()
            self._close()
        for folder in reversed(self._folders):
            folder.release(keep=keep)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.discard()
