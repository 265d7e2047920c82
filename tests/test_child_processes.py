"""Child processes that exchange lines of JSON with their parent."""

import os
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from stemsplitter.child_processes import ChildDied, ChildProcess

LIMIT_S = 60.0
# answers with the request; "noise" goes to standard output first, "exit" ends the process
ECHO = """
import sys
from stemsplitter.child_processes import Parent
parent = Parent()
for request in parent.requests():
    if "exit" in request:
        sys.exit(request["exit"])
    print("noise")
    parent.send(request)
"""

Start = Callable[..., ChildProcess]


@pytest.fixture
def start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Start]:
    """Return a function that starts a child process, which echoes requests."""
    (tmp_path / "echo_child.py").write_text(ECHO)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    started: list[ChildProcess] = []

    def make() -> ChildProcess:
        started.append(ChildProcess("echo_child", is_quiet=True))
        return started[-1]

    yield make
    for process in started:
        process.close()


def test_messages_are_exchanged_without_the_output_of_libraries(start: Start) -> None:
    process = start()
    for message in ({"text": "Größe\n"}, {"number": 1.5}, {"long": "x" * 300_000}):
        process.send(message)
        assert process.receive(LIMIT_S) == message
    assert process.is_alive


def test_receive_times_out_and_can_be_repeated(start: Start) -> None:
    process = start()
    with pytest.raises(TimeoutError):
        process.receive(0.0)
    process.send({"a": 1})
    assert process.receive(LIMIT_S) == {"a": 1}


def test_exit_code_and_signal_are_reported(start: Start) -> None:
    exits, killed = start(), start()
    exits.send({"exit": 3})
    with pytest.raises(ChildDied, match=r"^exit code 3$") as died:
        exits.receive(LIMIT_S)
    assert died.value.code == 3 and not exits.is_alive
    os.kill(killed.pid, signal.SIGSEGV)
    with pytest.raises(ChildDied, match=r"^SIGSEGV$"):
        killed.receive(LIMIT_S)


def test_messages_sent_before_death_are_received(start: Start) -> None:
    process = start()
    process.send({"a": 1})
    process.send({"exit": 0})
    assert process.receive(LIMIT_S) == {"a": 1}
    with pytest.raises(ChildDied):
        process.receive(LIMIT_S)


def test_send_to_a_dead_process_is_reported(start: Start) -> None:
    process = start()
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    with pytest.raises(ChildDied, match="SIGKILL"):
        process.send({"a": 1})


def test_close_ends_a_thread_that_receives(start: Start) -> None:
    process, codes = start(), list[int]()

    def receive() -> None:
        try:
            process.receive()
        except ChildDied as error:
            codes.append(error.code)

    thread = threading.Thread(target=receive)
    thread.start()
    process.close()
    thread.join(LIMIT_S)
    assert codes == [-signal.SIGKILL] and not process.is_alive
    process.close()
