"""Waiting for what is away."""

import threading
import time
from types import SimpleNamespace

import pytest
from sqlalchemy.exc import IntegrityError, OperationalError

from stemsplitter.splits import retry
from stemsplitter.splits.retry import is_passing, patiently
from stemsplitter.storage import StorageError
from stemsplitter.storage.errors import FileMissing

AWAY = OperationalError("SELECT 1", {}, Exception("the database is shutting down"))


class Unsteady:
    """Fails so many times."""

    def __init__(self, failures: int, error: Exception) -> None:
        self.calls, self._failures, self._error = 0, failures, error

    def __call__(self) -> str:
        self.calls += 1
        if self.calls <= self._failures:
            raise self._error
        return "done"


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stemsplitter.worker.backoff.SECONDS", (0.01, 0.02))


@pytest.mark.parametrize("error", [AWAY, StorageError("The store does not answer.")])
def test_what_passes_is_waited_for(error: Exception) -> None:
    action = Unsteady(5, error)
    assert patiently(action, threading.Event()) == "done"
    assert action.calls == 6


@pytest.mark.parametrize(
    "error",
    [FileMissing("There is no file."), IntegrityError("INSERT", {}, Exception("twice")), ValueError("no")],
)
def test_what_does_not_pass_is_told_at_once(error: Exception) -> None:
    assert not is_passing(error)
    action = Unsteady(1, error)
    with pytest.raises(type(error)):
        patiently(action, threading.Event())
    assert action.calls == 1


def test_patience_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """By a clock that only waiting moves."""
    waited: list[float] = []

    class Abort(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            waited.append(timeout or 0)
            return False

    monkeypatch.setattr(retry, "PATIENCE_SECONDS", 0.1)
    monkeypatch.setattr(retry, "time", SimpleNamespace(monotonic=lambda: sum(waited)))
    action = Unsteady(1000, AWAY)
    with pytest.raises(OperationalError):
        patiently(action, Abort())
    assert waited == [0.01, 0.02, 0.02, 0.02, 0.02] and action.calls == 6


def test_nobody_waits_when_the_worker_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stemsplitter.worker.backoff.SECONDS", (60.0,))
    abort, begun = threading.Event(), time.monotonic()
    threading.Timer(0.05, abort.set).start()  # in the midst of the pause, or before it: it is the same
    with pytest.raises(StorageError):
        patiently(Unsteady(9, StorageError("away")), abort)
    assert time.monotonic() - begun < 30
