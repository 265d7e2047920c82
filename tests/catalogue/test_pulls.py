import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from stemsplitter.catalogue import pulls as module
from stemsplitter.catalogue.pulls import Pull, Pulls
from stemsplitter.catalogue.store import ModelStore
from stemsplitter.child_processes import ChildDied
from stemsplitter.errors import ModelError
from stemsplitter.files.verified import Progress

NAME = "spleeter_2s"
LIMIT_S = 60.0


class Slow(ModelStore):
    """A store whose pulls wait halfway until a test ends them."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.pulled: list[str] = []
        self.halfway, self.go_on = threading.Event(), threading.Event()
        self.error: Exception | None = None

    def pull(self, name: str, progress: Progress | None = None) -> None:
        self.pulled.append(name)
        assert progress is not None
        progress(50, 100)
        self.halfway.set()
        assert self.go_on.wait(LIMIT_S)
        if self.error is not None:
            raise self.error


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Slow]:
    made = Slow(tmp_path)
    yield made
    made.go_on.set()


class Child:
    """A child process that checks nothing; ``code`` is its exit code."""

    code = 0
    started: tuple[str, ...] = ()

    def __init__(self, *arguments: str) -> None:
        Child.started = arguments

    def wait(self) -> ChildDied:
        return ChildDied(self.code)

    def close(self) -> None:
        pass


@pytest.fixture(autouse=True)
def child(monkeypatch: pytest.MonkeyPatch) -> type[Child]:
    monkeypatch.setattr(module, "ChildProcess", Child)
    monkeypatch.setattr(Child, "started", ())
    return Child


def ended(pulls: Pulls) -> Pull | None:
    """Wait for the end of the pull and return its state."""
    end = time.monotonic() + LIMIT_S
    while (found := pulls.find(NAME)) is not None and found.error is None:
        assert time.monotonic() < end
        time.sleep(0.01)
    return found


def test_a_pull_reports_progress_until_its_end(store: Slow) -> None:
    pulls = Pulls(store)
    assert pulls.find(NAME) is None
    pulls.start(NAME)
    assert store.halfway.wait(LIMIT_S)
    assert pulls.find(NAME) == Pull(50, 100)
    store.go_on.set()
    assert ended(pulls) is None


@pytest.mark.parametrize("code", [0, 1, -9])
def test_a_model_is_measured_in_a_child_process_after_its_pull(
    store: Slow,
    child: type[Child],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    code: int,
) -> None:
    monkeypatch.setattr(child, "code", code)
    pulls = Pulls(store, "cpu")
    pulls.start(NAME)
    assert store.halfway.wait(LIMIT_S)
    thread = next(thread for thread in threading.enumerate() if thread.name == f"pull {NAME}")
    store.go_on.set()
    thread.join(LIMIT_S)
    assert child.started == ("stemsplitter.catalogue.checks", str(store.root), NAME, "cpu")
    assert pulls.find(NAME) is None
    assert ("verify spleeter_2s --precision --speed" in caplog.text) == (code != 0)


def test_a_running_pull_is_not_started_again(store: Slow) -> None:
    pulls = Pulls(store)
    pulls.start(NAME)
    assert store.halfway.wait(LIMIT_S)
    pulls.start(NAME)
    store.go_on.set()
    ended(pulls)
    assert store.pulled == [NAME]


@pytest.mark.parametrize(
    ("error", "told"),
    [(ModelError("The disk is full: make room."), "The disk is full: make room."), (OSError("x"), "log")],
)
def test_the_error_of_a_failed_pull_is_kept_until_a_retry(store: Slow, error: Exception, told: str) -> None:
    pulls = Pulls(store)
    store.error = error
    store.go_on.set()
    pulls.start(NAME)
    failed = ended(pulls)
    assert failed is not None and failed.error is not None and told in failed.error
    store.error = None
    pulls.start(NAME)
    assert ended(pulls) is None and store.pulled == [NAME, NAME]


def test_an_unknown_model_is_rejected(store: Slow) -> None:
    with pytest.raises(ModelError, match="nothing_like_it"):
        Pulls(store).start("nothing_like_it")
    assert store.pulled == []
