"""The parent of a server's processes, with children that do as they are told."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from stemsplitter.errors import StemSplitterError
from stemsplitter.processes import supervisor
from stemsplitter.processes.supervisor import Child, Supervisor

LIMIT_S = 60.0


def child(program: str) -> Child:
    made = Child("child", [], os.environ)
    made._command = [sys.executable, "-c", program]
    return made


def wait(true: Callable[[], object]) -> None:
    deadline = time.monotonic() + LIMIT_S
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.fixture
def family(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Supervisor]:
    monkeypatch.setattr(supervisor, "FIRST_DELAY", 0.05)

    def make(*children: Child) -> Supervisor:
        made = Supervisor(0, {})
        made._children = list(children)
        return made

    return make


def run(parent: Supervisor, stop: threading.Event) -> threading.Thread:
    thread = threading.Thread(target=parent.run, args=(stop,))
    thread.start()
    return thread


def test_what_dies_is_started_again(family: Callable[..., Supervisor], tmp_path: Path) -> None:
    log = tmp_path / "log"
    sleeper = child(f"import time; open({str(log)!r}, 'a').write('x'); time.sleep(600)")
    stop = threading.Event()
    thread = run(family(sleeper), stop)
    for starts in (1, 2, 3):
        wait(lambda starts=starts: log.exists() and len(log.read_text()) == starts)
        if starts < 3:
            assert sleeper.process is not None
            os.kill(sleeper.process.pid, signal.SIGKILL)
    stop.set()
    thread.join(LIMIT_S)
    assert not thread.is_alive()
    assert sleeper.process is None


def test_waits_grow_from_death_to_death(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor, "FIRST_DELAY", 10.0)
    dying = child("raise SystemExit(3)")
    delays = []
    for _ in range(4):
        dying.start()
        assert dying.process is not None
        dying.process.wait(LIMIT_S)
        dying.look()
        delays.append(dying._delay)
    assert delays == [20, 30, 30, 30]
    dying.look()
    assert dying.process is None  # its time has not come


def test_a_child_that_cannot_start_ends_the_others(family: Callable[..., Supervisor]) -> None:
    sleeper, refusing = child("import time; time.sleep(600)"), child("raise SystemExit(1)")
    with pytest.raises(StemSplitterError, match="The child cannot start"):
        family(sleeper, refusing).run(threading.Event())
    assert sleeper.process is None


def test_a_child_that_does_not_end_is_killed(
    family: Callable[..., Supervisor], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(supervisor, "STOP_SECONDS", 0.2)
    ready = tmp_path / "ready"
    deaf = child(
        "import signal, time, pathlib; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
        f"pathlib.Path({str(ready)!r}).touch(); time.sleep(600)"
    )
    stop = threading.Event()
    thread = run(family(deaf), stop)
    wait(ready.exists)
    assert deaf.process is not None
    pid = deaf.process.pid
    stop.set()
    thread.join(LIMIT_S)
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_a_supervised_command_runs_and_ends_when_its_parent_is_gone() -> None:
    command = [sys.executable, "-m", "stemsplitter.cli.supervised", "--version"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.read().startswith(b"stemsplitter ")
        assert process.wait(LIMIT_S) == 0
    # a parent is a pipe that somebody holds; the command here would wait for much longer than this test
    program = (
        "import signal, sys, time; import stemsplitter.cli.main as cli;"
        "cli.main = lambda: (print('up', flush=True), time.sleep(600));"
        "from stemsplitter.cli.supervised import main; main()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None and process.stdin is not None
        assert process.stdout.readline() == b"up\n"
        process.stdin.close()
        assert process.wait(LIMIT_S) == -signal.SIGTERM
