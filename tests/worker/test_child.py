"""What the separating process says of its device; the rest is told by its parent's tests."""

import io
import json
import os
import sys
import threading
from typing import Any

import pytest

from stemsplitter.errors import DeviceError
from stemsplitter.worker import child
from stemsplitter.worker.child import Child, find_device


def test_the_cpu_is_used_where_it_is_named_or_all_there_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    assert find_device("cpu") == ("cpu", "")
    assert find_device("auto") == ("cpu", "")
    device, problem = find_device("cuda:1")
    assert device == "cpu"
    assert problem.startswith("The device cuda:1 needs torch")


def test_cores_are_shared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stemsplitter.separation.runtimes.openvino.usable_cores", lambda: 8)
    shares = [child.share_of_threads(*given) for given in ((0, 1), (0, 3), (0, 16), (5, 3))]
    assert shares == [None, 2, 1, 5]


def test_the_process_ends_with_its_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    ended: list[int] = []
    over = threading.Event()

    def separator(*_: Any, **__: Any) -> Any:
        raise DeviceError("The GPU is gone.")

    def end(code: int) -> None:
        ended.append(code)
        over.set()

    monkeypatch.setattr(child, "Separator", separator)
    monkeypatch.setattr(os, "_exit", end)
    answers = io.StringIO()
    Child(answers, "cuda:0", None).run([json.dumps({"id": 7, "model": "m", "stems": ["vocals"]}) + "\n"])
    assert over.wait(60) and ended == [1]
    told = {"id": 7, "error": "DeviceError", "message": "The GPU is gone."}
    assert [json.loads(line) for line in answers.getvalue().splitlines()] == [told]
