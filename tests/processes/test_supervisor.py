"""The supervisor, with programs of the tests as its processes."""

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
from stemsplitter.processes.supervisor import SupervisedProcess, Supervisor

LIMIT_S = 60.0


def child(program: str) -> SupervisedProcess:
    made = SupervisedProcess("child", [], os.environ)
    made._command = [sys.executable, "-c", program]
    return made


def wait(true: Callable[[], object]) -> None:
    deadline = time.monotonic() + LIMIT_S
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.fixture
def supervise(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Supervisor]:
    monkeypatch.setattr(supervisor, "FIRST_DELAY", 0.05)

    def make(*processes: SupervisedProcess) -> Supervisor:
        made = Supervisor(0, {})
        made._processes = list(processes)
        return made

    return make


def run(parent: Supervisor, stop: threading.Event) -> threading.Thread:
    thread = threading.Thread(target=parent.run, args=(stop,))
    thread.start()
    return thread


def test_dead_process_is_restarted(supervise: Callable[..., Supervisor], tmp_path: Path) -> None:
    log = tmp_path / "log"
    sleeper = child(f"import time; open({str(log)!r}, 'a').write('x'); time.sleep(600)")
    stop = threading.Event()
    thread = run(supervise(sleeper), stop)
    for starts in (1, 2, 3):
        wait(lambda starts=starts: log.exists() and len(log.read_text()) == starts)
        if starts < 3:
            assert sleeper.process is not None
            os.kill(sleeper.process.pid, signal.SIGKILL)
    stop.set()
    thread.join(LIMIT_S)
    assert not thread.is_alive()
    assert sleeper.process is None


def test_restart_delay_increases(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor, "FIRST_DELAY", 10.0)
    dying = child("raise SystemExit(3)")
    delays = []
    for _ in range(4):
        dying.start()
        assert dying.process is not None
        dying.process.wait(LIMIT_S)
        dying.check()
        delays.append(dying._delay)
    assert delays == [20, 30, 30, 30]
    dying.check()
    assert dying.process is None  # the delay is not over


def test_process_that_cannot_start_stops_the_others(supervise: Callable[..., Supervisor]) -> None:
    sleeper, refusing = child("import time; time.sleep(600)"), child("raise SystemExit(1)")
    with pytest.raises(StemSplitterError, match="The child cannot start"):
        supervise(sleeper, refusing).run(threading.Event())
    assert sleeper.process is None


def test_process_that_does_not_stop_is_killed(
    supervise: Callable[..., Supervisor], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(supervisor, "STOP_SECONDS", 0.2)
    ready = tmp_path / "ready"
    unresponsive = child(
        "import signal, time, pathlib; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
        f"pathlib.Path({str(ready)!r}).touch(); time.sleep(600)"
    )
    stop = threading.Event()
    thread = run(supervise(unresponsive), stop)
    wait(ready.exists)
    assert unresponsive.process is not None
    pid = unresponsive.process.pid
    stop.set()
    thread.join(LIMIT_S)
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_supervised_command_exits_with_its_parent() -> None:
    command = [sys.executable, "-m", "stemsplitter.cli.supervised", "--version"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.read().startswith(b"stemsplitter ")
        assert process.wait(LIMIT_S) == 0
    # the parent holds the other end of the pipe; the command would run much longer than this test
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
