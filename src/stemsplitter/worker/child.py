"""The process that separates: requests come as lines of JSON on standard input, what happens goes out likewise.

It is started with the device that is wanted, the CPU threads that it may use (0 for all), and among how many processes
all are shared, if that is the CPU. First it says ``{"id": 0, "device": …, "problem": …}``: the device that it has, and,
where that is not the one that was named, why.

A request is ``{"id", "model", "stems", "source", "folder", "format", "max_seconds"}`` and is answered by any number of
``{"id", "progress": 0…1}`` and at the end ``{"id", "done": {…}}`` or ``{"id", "error": CLASS, "message": …}``, the
class being one of :mod:`stemsplitter.errors`, ``MemoryError``, or ``Exception`` for a fault of the program.
``{"id", "stop": true}`` ends the request after its segment. When the input ends, its parent is gone, and so is the
process.

Requests that run at the same time share the models, which stay loaded, and on a GPU the batches.
"""

import contextlib
import json
import os
import signal
import sys
import threading
import traceback
from collections.abc import Iterable
from pathlib import Path
from typing import IO, Any

from stemsplitter.audio.peaks import FILE_NAME
from stemsplitter.errors import DeviceError, RequestError, StemSplitterError
from stemsplitter.library import Separator, StemFiles

NICENESS = 10  # requests are answered first; separation takes what is left, which is nearly all
OOM_SCORE = "800"  # where memory runs out, Linux takes this process and not the database's
GREETING = 0  # the id of what is said without being asked

Request = dict[str, Any]


def main() -> None:
    """Serve requests until the input ends."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(
            number, signal.SIG_IGN
        )  # a terminal's Ctrl-C reaches all of its processes: the parent decides
    _yield_to_others()
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8", buffering=1)
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what libraries print must not get among the answers
    device, problem = find_device(sys.argv[1])
    child = Child(answers, device, share_of_threads(int(sys.argv[2]), 1 if problem else int(sys.argv[3])))
    child.tell(GREETING, {"device": device, "problem": problem})
    child.run(sys.stdin)
    os._exit(0)  # in the midst of a segment, too


def find_device(wanted: str) -> tuple[str, str]:
    """The device to use, and why it is not the one that is wanted: the CPU does what a GPU cannot."""
    from stemsplitter.separation.runtimes.torch import find_gpu

    try:
        return ("cpu" if wanted == "cpu" else find_gpu(wanted) or "cpu"), ""
    except RequestError as error:
        return "cpu", str(error)


def share_of_threads(threads: int, processes: int) -> int | None:
    """How many CPU threads one of several processes uses; None for as many as there are cores."""
    from stemsplitter.separation.runtimes.openvino import usable_cores

    return threads or (max(usable_cores() // processes, 1) if processes > 1 else None)


class Child:
    """What is loaded, and which requests run, each in a thread of its own."""

    def __init__(self, answers: IO[str], device: str, threads: int | None) -> None:
        self._answers, self._device, self._threads = answers, device, threads
        self._telling, self._loading = threading.Lock(), threading.Lock()
        self._separators: dict[str, Separator] = {}
        self._stops: dict[int, threading.Event] = {}

    def run(self, lines: Iterable[str]) -> None:
        """Serve what the lines ask for."""
        for line in lines:
            request = json.loads(line)
            number = request.pop("id")
            if "stop" not in request:
                stop = self._stops[number] = threading.Event()
                threading.Thread(target=self._serve, args=(number, request, stop), daemon=True).start()
            elif (running := self._stops.get(number)) is not None:
                running.set()

    def tell(self, number: int, message: dict[str, Any]) -> None:
        """Say something about a request."""
        try:
            with self._telling:
                self._answers.write(json.dumps({"id": number, **message}) + "\n")
        except BrokenPipeError:
            os._exit(0)  # nobody is left to hear it

    def _serve(self, number: int, request: Request, stop: threading.Event) -> None:
        answer: dict[str, Any]
        try:
            result = self._separator(request).separate_to(
                request["source"],
                request["folder"],
                format=request["format"],
                max_seconds=request["max_seconds"],
                peaks=True,
                progress=lambda progress: self.tell(number, {"progress": progress.fraction}),
                stop=stop.is_set,
            )
            answer = {"done": _summary(result, _write_peaks(result, Path(request["folder"])))}
        except StemSplitterError as error:
            answer = {"error": type(error).__name__, "message": str(error)}
        except MemoryError:
            answer = {"error": "MemoryError", "message": "The separation needs more memory than there is."}
        except Exception as error:
            traceback.print_exc()
            answer = {"error": "Exception", "message": f"{type(error).__name__} in the separation"}
        del self._stops[number]
        self.tell(number, answer)
        if answer.get("error") == DeviceError.__name__:
            os._exit(
                1
            )  # what a GPU that failed was used for is lost; another process looks whether it is there

    def _separator(self, request: Request) -> Separator:
        name, stems = request["model"], request["stems"]
        with self._loading:  # once, even for two songs that come at the same time
            if name not in self._separators:
                self._separators[name] = Separator(name, device=self._device, threads=self._threads)
            return self._separators[name].with_stems(stems)


def _yield_to_others() -> None:
    os.nice(NICENESS)
    with contextlib.suppress(OSError):  # Linux has it
        Path("/proc/self/oom_score_adj").write_text(OOM_SCORE)


def _summary(result: StemFiles, peaks: Path) -> dict[str, Any]:
    return {
        "stems": {file.name: str(file.path) for file in result.files},
        "peaks": str(peaks),
        "device": result.device,
        "seconds": round(result.elapsed, 3),
        "audio_seconds": result.seconds,
        "warnings": list(result.warnings),
    }


def _write_peaks(result: StemFiles, folder: Path) -> Path:
    assert result.peaks is not None
    path = folder / FILE_NAME
    path.write_bytes(result.peaks.encode(result.gain))
    return path


if __name__ == "__main__":
    main()
