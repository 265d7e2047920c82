"""The process that measures files: a path and a limit come as a line of JSON, the answer goes back as one.

It holds nothing of the server (no settings, no database, no secrets), and has limits on memory, CPU time, and files,
set before it opens anything. The server kills it when it takes too long.
"""

import json
import os
import resource
import signal
import sys
from typing import Any, NoReturn

from stemsplitter.audio.decode import open_source
from stemsplitter.errors import AudioError


def main() -> None:
    """Answer requests from standard input until it ends. Arguments: bytes of memory, seconds of CPU for each."""
    memory, cpu_seconds = (int(argument) for argument in sys.argv[1:])
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever a library may print is no answer
    _limit(resource.RLIMIT_AS, memory)
    _limit(resource.RLIMIT_FSIZE, 0)
    _limit(resource.RLIMIT_CORE, 0)
    _limit(resource.RLIMIT_NOFILE, 32)
    signal.signal(signal.SIGXCPU, _out_of_time)
    for line in sys.stdin:
        used = resource.getrusage(resource.RUSAGE_SELF)
        until = int(used.ru_utime + used.ru_stime) + 1 + cpu_seconds
        # at the soft limit comes a signal, which Python sees when FFmpeg has done a packet
        resource.setrlimit(resource.RLIMIT_CPU, (until, resource.getrlimit(resource.RLIMIT_CPU)[1]))
        print(json.dumps(measure(**json.loads(line))), file=answers, flush=True)


def measure(path: str, max_seconds: float) -> dict[str, Any]:
    """What :class:`~stemsplitter.analysis.probing.Probed` holds, or ``error``, one sentence."""
    try:
        with open_source(path, max_seconds=max_seconds) as source:
            for _ in source.blocks():
                pass
            info = source.info
            tags = {"title": info.tags.title, "artist": info.tags.artist, "album": info.tags.album}
            return {
                "samples": source.samples,
                "sample_rate": info.sample_rate,
                "channels": info.source_channels,
                "tags": {name: text for name, text in tags.items() if text},
                "warnings": source.warnings,
            }
    except AudioError as error:
        if isinstance(error.__cause__, MemoryError):
            raise error.__cause__ from error  # not the file's fault: the process ends, and the server says so
        return {"error": str(error)}


def _limit(what: int, value: int) -> None:
    hard = resource.getrlimit(what)[1]
    value = value if hard == resource.RLIM_INFINITY else min(value, hard)
    resource.setrlimit(what, (value, value))


def _out_of_time(*_: object) -> NoReturn:
    os._exit(os.EX_TEMPFAIL)


if __name__ == "__main__":
    main()
