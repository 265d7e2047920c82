"""The process that probes files: each request is a path and a limit, each response a measurement.

It has nothing of the server (settings, database or secrets), and limits on memory, CPU time and open files that are set
before it opens a file. The server kills it after a timeout.
"""

import base64
import os
import resource
import signal
import sys
from typing import Any, NoReturn

from stemsplitter import sandbox
from stemsplitter.audio.decode import AudioInfo, open_source
from stemsplitter.audio.thumbnail import thumbnail
from stemsplitter.child_processes import Parent
from stemsplitter.errors import AudioError
from stemsplitter.files.names import shown


def main() -> None:
    """Serve requests until standard input ends. Arguments: bytes of memory, CPU seconds for each request."""
    memory, cpu_seconds = (int(argument) for argument in sys.argv[1:])
    parent = Parent()
    sandbox.restrict(memory_bytes=memory, file_bytes=0, open_files=32, address_space_bytes=memory)
    signal.signal(signal.SIGXCPU, _out_of_time)
    for request in parent.requests():
        used = resource.getrusage(resource.RUSAGE_SELF)
        until = int(used.ru_utime + used.ru_stime) + 1 + cpu_seconds
        # Python handles the signal of the soft limit after FFmpeg finishes the current packet
        resource.setrlimit(resource.RLIMIT_CPU, (until, resource.getrlimit(resource.RLIMIT_CPU)[1]))
        parent.send(measure(**request))


def measure(path: str, max_seconds: float) -> dict[str, Any]:
    """Decode a file. Returns the fields of :class:`~stemsplitter.probing.pool.Probed`, or ``error``, a sentence."""
    try:
        with open_source(path, max_seconds=max_seconds) as source:
            info = source.info
            # decoding time grows with the samples of all channels; the limit is that of stereo at 96 kHz
            allowed = max_seconds * 2 * 96_000 / info.source_channels
            for _ in source.blocks():
                if source.samples > allowed:
                    raise _too_many(path, info)
            cover = thumbnail(info.tags.cover)
            tags = {"title": info.tags.title, "artist": info.tags.artist, "album": info.tags.album}
            return {
                "samples": source.samples,
                "sample_rate": info.sample_rate,
                "channels": info.source_channels,
                "tags": {name: text for name, text in tags.items() if text},
                "warnings": source.warnings,
                "cover": None if cover is None else base64.b64encode(cover).decode(),
            }
    except AudioError as error:
        if isinstance(error.__cause__, MemoryError):
            raise error.__cause__ from error  # the process ends, and the server reports it
        return {"error": str(error)}


def _too_many(path: str, info: AudioInfo) -> AudioError:
    return AudioError(
        f"{shown(path)} has too many samples, {info.source_channels} channels at {info.sample_rate} Hz: convert it to "
        "stereo at 48 kHz."
    )


def _out_of_time(*_: object) -> NoReturn:
    os._exit(os.EX_TEMPFAIL)


if __name__ == "__main__":
    main()
