"""Retries while the database or the storage is unavailable."""

import threading
import time
from types import SimpleNamespace

import pytest
from sqlalchemy.exc import IntegrityError, OperationalError

from stemsplitter.storage import StorageError
from stemsplitter.storage.errors import FileMissing
from stemsplitter.worker import retry as retry_module
from stemsplitter.worker.retry import is_transient, retry

UNAVAILABLE = OperationalError("SELECT 1", {}, Exception("the database is shutting down"))


class Flaky:
    """Raises ``error`` for the first ``failures`` calls."""

    def __init__(self, failures: int, error: Exception) -> None:
        self.calls, self._failures, self._error = 0, failures, error

    def __call__(self) -> str:
        self.calls += 1
        if self.calls <= self._failures:
            raise self._error
        return "done"


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stemsplitter.worker.retry.DELAYS", (0.01, 0.02))


@pytest.mark.parametrize("error", [UNAVAILABLE, StorageError("The store does not answer.")])
def test_transient_error_is_retried(error: Exception) -> None:
    action = Flaky(5, error)
    assert retry(action, threading.Event()) == "done"
    assert action.calls == 6


@pytest.mark.parametrize(
    "error",
    [FileMissing("There is no file."), IntegrityError("INSERT", {}, Exception("twice")), ValueError("no")],
)
def test_other_error_is_raised_immediately(error: Exception) -> None:
    assert not is_transient(error)
    action = Flaky(1, error)
    with pytest.raises(type(error)):
        retry(action, threading.Event())
    assert action.calls == 1


def test_retries_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a clock that only waiting advances."""
    waited: list[float] = []

    class Abort(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            waited.append(timeout or 0)
            return False

    monkeypatch.setattr(retry_module, "RETRY_SECONDS", 0.1)
    monkeypatch.setattr(retry_module, "time", SimpleNamespace(monotonic=lambda: sum(waited)))
    action = Flaky(1000, UNAVAILABLE)
    with pytest.raises(OperationalError):
        retry(action, Abort())
    assert waited == [0.01, 0.02, 0.02, 0.02, 0.02] and action.calls == 6


def test_abort_ends_the_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stemsplitter.worker.retry.DELAYS", (60.0,))
    abort, started = threading.Event(), time.monotonic()
    threading.Timer(0.05, abort.set).start()  # during the delay or before it: the result is the same
    with pytest.raises(StorageError):
        retry(Flaky(9, StorageError("away")), abort)
    assert time.monotonic() - started < 30
