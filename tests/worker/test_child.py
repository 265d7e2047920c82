"""The separation process: devices and threads. The tests of the parent's end cover the rest."""

import os
import sys
import threading
from typing import Any

import pytest

from stemsplitter.errors import DeviceError, RequestError
from stemsplitter.worker import child
from stemsplitter.worker.child import SeparationServer, find_device


class Responses:
    """Collects messages instead of sending them to the parent."""

    def __init__(self) -> None:
        self.messages: list[dict[str, Any]] = []

    def send(self, message: dict[str, Any]) -> None:
        self.messages.append(message)


def test_device_falls_back_to_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    assert find_device("cpu") == ("cpu", "")
    assert find_device("auto") == ("cpu", "")
    device, problem = find_device("cuda:1")
    assert device == "cpu"
    assert problem.startswith("The device cuda:1 needs torch")


def test_threads_are_divided_among_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stemsplitter.separation.runtimes.usable_cores", lambda: 8)
    shares = [child.share_of_threads(*given) for given in ((0, 1), (0, 3), (0, 16), (5, 3))]
    assert shares == [None, 2, 1, 5]


def test_the_overlap_of_a_request_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[Any, float | None]] = []
    over = threading.Event()

    class Loaded:
        def with_stems(self, stems: Any, *, overlap: float | None) -> Any:
            seen.append((stems, overlap))
            over.set()
            raise RequestError("Enough.")

    monkeypatch.setattr(child, "Separator", lambda *_, **__: Loaded())
    request = {"id": 7, "model": "m", "stems": ["vocals"], "overlap": 0.5}
    SeparationServer(Responses(), "cpu", None).run([request])
    assert over.wait(60) and seen == [(["vocals"], 0.5)]


def test_process_exits_on_a_gpu_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    ended: list[int] = []
    over = threading.Event()

    def separator(*_: Any, **__: Any) -> Any:
        raise DeviceError("The GPU is gone.")

    def end(code: int) -> None:
        ended.append(code)
        over.set()

    monkeypatch.setattr(child, "Separator", separator)
    monkeypatch.setattr(os, "_exit", end)
    parent = Responses()
    SeparationServer(parent, "cuda:0", None).run([{"id": 7, "model": "m", "stems": ["vocals"]}])
    assert over.wait(60) and ended == [1]
    assert parent.messages == [{"id": 7, "error": "DeviceError", "message": "The GPU is gone."}]
