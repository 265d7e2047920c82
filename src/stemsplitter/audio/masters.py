"""Lossless stems of a song, from which every other file of it is made."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from pathlib import Path
from types import TracebackType

import numpy as np
import numpy.typing as npt

from stemsplitter.audio.encode import StemWriter
from stemsplitter.audio.formats import OutputFormat
from stemsplitter.audio.stemset import WrittenStem
from stemsplitter.audio.tags import Tags
from stemsplitter.files.folder import OutputFolder

Samples = npt.NDArray[np.float32]

FORMAT = OutputFormat.parse("flac24")
FLOAT_FORMAT = OutputFormat.parse("wav32f")
_HALF_STEP = 2.0**-24
_HIGHEST = 1 - _HALF_STEP  # from here on a sample rounds to an integer that 24 bits do not have
_LOWEST = -1 - _HALF_STEP
_JOIN_SECONDS = 1.0


class Masters:
    """Writes the file of every stem to a folder: all of them on :meth:`commit`, or none.

    The format is ``fmt``, FLAC with 24 bits by default. If a sample exceeds full scale, it is WAV with 32-bit floats
    for all stems, so that nothing is scaled or clipped: the files so far are decoded and written again, which takes
    little time. As a context manager it discards uncommitted files. Raises like
    :class:`~stemsplitter.audio.stemset.StemSet`.
    """

    def __init__(
        self,
        folder: Path,
        stems: tuple[str, ...],
        sample_rate: int,
        channels: int,
        tags: Tags | None = None,
        *,
        fmt: OutputFormat = FORMAT,
        threads: int = 2,
    ) -> None:
        self.format = fmt
        self._folder, self._rate, self._channels, self._tags = folder, sample_rate, channels, tags or Tags()
        self._peaks = dict.fromkeys(stems, 0.0)
        self._writers: dict[str, StemWriter] = {}
        self._pending: list[Future[None]] = []
        self._pool = ThreadPoolExecutor(max_workers=max(threads, 1), thread_name_prefix="encode masters")
        self._lock: OutputFolder | None = None
        try:
            self._lock = OutputFolder(folder)
            for name in stems:
                self._writers[name] = self._writer(name)
        except BaseException:
            self.discard()
            raise

    def write(self, blocks: Mapping[str, Samples]) -> None:
        """Append the next float32 ``[channels, n]`` of every stem. Encoding continues after the call; the blocks must
        not change."""
        self._wait()
        is_over = False
        for name, block in blocks.items():
            high, low = float(block.max(initial=0)), float(block.min(initial=0))
            self._peaks[name] = max(self._peaks[name], high, -low)
            is_over = is_over or high > _HIGHEST or low < _LOWEST
        if is_over and not self.format.is_float:
            self.format = FLOAT_FORMAT
            self._run(self._rewrite)
            self._wait()
        self._pending = [
            self._pool.submit(self._writers[name].write, block) for name, block in blocks.items()
        ]

    def commit(self) -> list[WrittenStem]:
        """Finish all files and give them their names."""
        self._wait()
        self._run(lambda name: self._writers[name].finish())
        self._wait()
        for writer in self._writers.values():
            writer.commit()
        self._release(keep=True)
        return [
            WrittenStem(name, writer.path, writer.samples, self._peaks[name])
            for name, writer in self._writers.items()
        ]

    def discard(self) -> None:
        """Delete all files. Idempotent; does nothing after :meth:`commit`."""
        self._release(keep=False)

    def _writer(self, name: str) -> StemWriter:
        path = self._folder / f"{name}.{self.format.extension}"
        return StemWriter(path, self.format, self._rate, self._channels, self._tags.for_stem(name))

    def _rewrite(self, name: str) -> None:
        first = self._writers[name]
        second = self._writers[name] = self._writer(name)
        try:
            for block in first.reread():
                second.write(block)
        finally:
            first.discard()

    def _run(self, work: Callable[[str], None]) -> None:
        self._pending = [self._pool.submit(work, name) for name in list(self._writers)]

    def _wait(self) -> None:
        wait(self._pending)
        pending, self._pending = self._pending, []
        for future in pending:
            future.result()

    def _release(self, *, keep: bool) -> None:
        for future in self._pending:
            future.cancel()
        # a thread that still writes to a disk that does not respond keeps its file, which has no name
        is_done = not wait(self._pending, _JOIN_SECONDS).not_done
        self._pool.shutdown(wait=is_done)
        if is_done:
            for writer in self._writers.values():
                writer.discard()
        if self._lock is not None:
            self._lock.release(keep=keep)

    def __enter__(self) -> Masters:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.discard()
