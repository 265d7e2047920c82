"""The child process that separates songs.

Arguments: the device, the number of CPU threads (0 for all), and the number of processes that share the CPU. Its first
message is ``{"id": 0, "device": …, "problem": …}``: the device it uses, and the reason if that is not the given one.

A request is ``{"id", "model", "stems", "source", "folder", "format", "max_seconds", "instruments",
"max_sample_rate", "overlap"}``, or with ``"tool"`` a :class:`~stemsplitter.worker.process.ToolRequest`. The responses
are any number of ``{"id", "progress": 0…1}`` and finally
``{"id", "done": {…}}`` or ``{"id", "error": CLASS, "message": …}``, where CLASS is the name of a class in
:mod:`stemsplitter.errors`, ``MemoryError``, or ``Exception`` for an unexpected error. ``{"id", "stop": true}`` stops
the request after its current segment. The process exits when its input closes.

Concurrent requests share loaded models and, on a GPU, batches.
"""

import contextlib
import os
import signal
import sys
import threading
import traceback
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any, Protocol

from stemsplitter import sandbox
from stemsplitter.audio.peaks import write_peaks
from stemsplitter.child_processes import Message, Parent
from stemsplitter.errors import DeviceError, RequestError, StemSplitterError
from stemsplitter.library import Separator, StemFiles
from stemsplitter.stopping import SIGNALS

NICENESS = 10  # requests to the API come first; separation uses the remaining CPU time, which is most of it
OOM_SCORE = "800"  # if memory runs out, Linux kills this process and not the database
# float stems of an hour in one file, many times over; models and stems open at a time
MAX_FILE_BYTES = 64 << 30
MAX_OPEN_FILES = 1024
MIN_MEMORY_BYTES = 6 << 30
GREETING = 0  # id of the first message


def main() -> None:
    """Serve requests until the input closes."""
    for number in SIGNALS:
        # Ctrl-C in a terminal reaches all of its processes: the parent decides
        signal.signal(number, signal.SIG_IGN)
    _lower_priority()
    parent = Parent()
    sandbox.restrict(memory_bytes=memory_limit(), file_bytes=MAX_FILE_BYTES, open_files=MAX_OPEN_FILES)
    device, problem = find_device(sys.argv[1])
    threads = share_of_threads(int(sys.argv[2]), 1 if problem else int(sys.argv[3]))
    parent.send({"id": GREETING, "device": device, "problem": problem})
    SeparationServer(parent, device, threads).run(parent.requests())
    os._exit(0)  # does not wait for a segment


def memory_limit() -> int:
    """Return the private memory that the process may have, in bytes: half of the machine, at least 6 GiB."""
    physical = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return max(physical // 2, MIN_MEMORY_BYTES)


def find_device(wanted: str) -> tuple[str, str]:
    """Return the device to use, and the reason if it is not the wanted one: a GPU falls back to the CPU."""
    from stemsplitter.separation.runtimes.torch import find_gpu

    try:
        return ("cpu" if wanted == "cpu" else find_gpu(wanted) or "cpu"), ""
    except RequestError as error:
        return "cpu", str(error)


def share_of_threads(threads: int, processes: int) -> int | None:
    """Return the CPU threads for one of several processes; None for one per core."""
    from stemsplitter.separation.runtimes import usable_cores

    return threads or (max(usable_cores() // processes, 1) if processes > 1 else None)


class Channel(Protocol):
    """Sends messages to the parent process."""

    def send(self, message: Message) -> None:
        """Write a message."""


class SeparationServer:
    """Runs each request in its own thread, with models that stay loaded."""

    def __init__(self, parent: Channel, device: str, threads: int | None) -> None:
        self._parent, self._device, self._threads = parent, device, threads
        self._loading = threading.Lock()
        self._separators: dict[str, Separator] = {}
        self._stops: dict[int, threading.Event] = {}

    def run(self, requests: Iterable[Message]) -> None:
        """Start and stop requests as they arrive."""
        for request in requests:
            number = request.pop("id")
            if "stop" not in request:
                stop = self._stops[number] = threading.Event()
                threading.Thread(target=self._serve, args=(number, request, stop), daemon=True).start()
            elif (running := self._stops.get(number)) is not None:
                running.set()

    def _serve(self, number: int, request: Message, stop: threading.Event) -> None:
        response: Message
        try:
            response = {"done": self._run(number, request, stop)}
        except StemSplitterError as error:
            response = {"error": type(error).__name__, "message": str(error)}
        except MemoryError:
            response = {"error": "MemoryError", "message": "The separation ran out of memory."}
        except Exception as error:
            traceback.print_exc()
            response = {"error": "Exception", "message": f"{type(error).__name__} in the separation"}
        del self._stops[number]
        self._parent.send({"id": number, **response})
        if response.get("error") == DeviceError.__name__:
            os._exit(1)  # the state on a failed GPU is lost; a new process looks for the GPU again

    def _run(self, number: int, request: Message, stop: threading.Event) -> Message:
        def send_progress(fraction: float) -> None:
            self._parent.send({"id": number, "progress": fraction})

        if "tool" in request:
            from stemsplitter.worker.tool_runs import run_tool

            return run_tool(request, send_progress, stop.is_set)
        result = self._separator(request).separate_to(
            request["source"],
            request["folder"],
            format=request["format"],
            max_seconds=request["max_seconds"],
            instruments=request["instruments"],
            max_sample_rate=request["max_sample_rate"],
            peaks=True,
            masters=Path(request["folder"]) / "masters",
            raw_masters=request["raw_masters"],
            progress=lambda progress: send_progress(progress.fraction),
            stop=stop.is_set,
        )
        assert result.peaks is not None
        return _summary(result) | write_peaks(Path(request["folder"]), result.peaks.encode(result.gain))

    def _separator(self, request: Message) -> Separator:
        name, stems = request["model"], request["stems"]
        with self._loading:  # once, even for two concurrent requests
            if name not in self._separators:
                self._separators[name] = Separator(name, device=self._device, threads=self._threads)
            return self._separators[name].with_stems(stems, overlap=request["overlap"])


def _lower_priority() -> None:
    os.nice(NICENESS)
    with contextlib.suppress(OSError):  # exists on Linux only
        Path("/proc/self/oom_score_adj").write_text(OOM_SCORE)


def _summary(result: StemFiles) -> dict[str, Any]:
    return {
        "stems": {file.name: str(file.path) for file in result.files},
        "masters": {file.name: {"path": str(file.path), "peak": file.peak} for file in result.masters},
        "vocals_from": asdict(result.models[1]) if len(result.models) > 1 else None,
        "device": result.device,
        "seconds": round(result.elapsed, 3),
        "audio_seconds": result.seconds,
    }


if __name__ == "__main__":
    main()
