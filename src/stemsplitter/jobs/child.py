"""The process that separates: requests come as lines of JSON on standard input, what happens goes out likewise.

A request is ``{"model", "stems", "source", "folder", "format", "max_seconds", "device", "threads"}`` and is
answered by any number of ``{"progress": 0…1}`` and at the end ``{"done": {…}}`` or ``{"error": CLASS, "message":
…}``, the class being one of :mod:`stemsplitter.errors`, ``MemoryError``, or ``Exception`` for a fault of the
program. ``{"stop": true}`` ends the running request after its segment. When the input ends, its parent is gone,
and so is the process.

Models stay loaded from request to request.
"""

import contextlib
import json
import os
import queue
import signal
import sys
import threading
import traceback
from pathlib import Path
from typing import IO, Any

from stemsplitter.audio.peaks import FILE_NAME
from stemsplitter.errors import StemSplitterError
from stemsplitter.separation import Progress, Separator, StemFiles

NICENESS = 10  # requests are answered first; separation takes what is left, which is nearly all
OOM_SCORE = "800"  # where memory runs out, Linux takes this process and not the database's

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
    requests: queue.SimpleQueue[Request] = queue.SimpleQueue()
    stop = threading.Event()
    threading.Thread(target=_read, args=(requests, stop), daemon=True).start()
    separators: dict[str, Separator] = {}
    while True:
        request = requests.get()
        stop.clear()
        _answer(answers, _serve(request, separators, answers, stop))


def _yield_to_others() -> None:
    os.nice(NICENESS)
    with contextlib.suppress(OSError):  # Linux has it
        Path("/proc/self/oom_score_adj").write_text(OOM_SCORE)


def _read(requests: "queue.SimpleQueue[Request]", stop: threading.Event) -> None:
    for line in sys.stdin:
        request = json.loads(line)
        if "stop" in request:
            stop.set()
        else:
            requests.put(request)
    os._exit(0)  # in the midst of a segment, too


def _serve(
    request: Request, separators: dict[str, Separator], answers: IO[str], stop: threading.Event
) -> dict[str, Any]:
    try:
        separator = _separator(request, separators)
        result = separator.separate_to(
            request["source"],
            request["folder"],
            format=request["format"],
            max_seconds=request["max_seconds"],
            peaks=True,
            progress=lambda progress: _tell(answers, progress),
            stop=stop.is_set,
        )
        return {"done": _summary(result, _write_peaks(result, Path(request["folder"])))}
    except StemSplitterError as error:
        return {"error": type(error).__name__, "message": str(error)}
    except MemoryError:
        return {"error": "MemoryError", "message": "The separation needs more memory than there is."}
    except Exception as error:
        traceback.print_exc()
        return {"error": "Exception", "message": f"{type(error).__name__} in the separation"}


def _separator(request: Request, separators: dict[str, Separator]) -> Separator:
    name, stems = request["model"], request["stems"]
    if name not in separators:
        separators[name] = Separator(name, device=request["device"], threads=request["threads"])
    return separators[name].giving(stems)


def _tell(answers: IO[str], progress: Progress) -> None:
    _answer(answers, {"progress": progress.fraction})


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


def _answer(answers: IO[str], message: dict[str, Any]) -> None:
    try:
        answers.write(json.dumps(message) + "\n")
    except BrokenPipeError:
        os._exit(0)  # nobody is left to hear it


if __name__ == "__main__":
    main()
