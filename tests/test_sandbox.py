"""Restrictions of child processes (fault M7)."""

import json
import platform
import subprocess
import sys
from typing import Any

import pytest

from stemsplitter import sandbox

ATTEMPTS = """
import json, socket, subprocess, sys, threading
from stemsplitter import sandbox

def fails(attempt, *arguments):
    try:
        attempt(*arguments)
    except (OSError, MemoryError) as error:
        return type(error).__name__
    return ""

begin, found = threading.Event(), {}

def run_in_thread():
    begin.wait()
    found["earlier thread"] = fails(socket.socket, socket.AF_INET)

thread = threading.Thread(target=run_in_thread)
thread.start()
filtered = sandbox.restrict(memory_bytes=1 << 29, file_bytes=1000, open_files=64)
begin.set()
thread.join()

def write(size):
    with open(sys.argv[1], "wb", buffering=0) as file:
        while size:
            size -= file.write(bytes(size))

import signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
print(json.dumps({
    "filtered": filtered, **found,
    "ipv4": fails(socket.socket, socket.AF_INET),
    "ipv6": fails(socket.socket, socket.AF_INET6),
    "unix": fails(socket.socketpair),
    "program": fails(subprocess.run, [sys.executable, "-V"]),
    "memory": fails(bytearray, 1 << 30),
    "small file": fails(write, 1000),
    "large file": fails(write, 2000),
}))
"""


@pytest.fixture(scope="module")
def attempts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Names of the errors that a restricted process meets."""
    file = tmp_path_factory.mktemp("sandbox") / "file"
    done = subprocess.run(
        [sys.executable, "-c", ATTEMPTS, str(file)], capture_output=True, text=True, timeout=60, check=True
    )
    found = json.loads(done.stdout)
    assert isinstance(found, dict)
    return found


def test_m7_memory_and_files_are_limited(attempts: dict[str, Any]) -> None:
    assert attempts["memory"] == "MemoryError"
    assert (attempts["small file"], attempts["large file"]) == ("", "OSError")


@pytest.mark.skipif(
    sys.platform != "linux" or platform.machine() not in ("x86_64", "aarch64"),
    reason="no filter is known here",
)
def test_m7_the_kernel_refuses_the_internet_and_other_programs(attempts: dict[str, Any]) -> None:
    assert attempts["filtered"]
    refused = {attempts[name] for name in ("ipv4", "ipv6", "earlier thread", "program")}
    assert refused == {"PermissionError"}
    assert attempts["unix"] == ""


def test_m7_a_child_gets_no_secret() -> None:
    secrets = {
        "STEMSPLITTER_SECRET_KEY": "a",
        "STEMSPLITTER_DATABASE_URL": "b",
        "STEMSPLITTER_STRIPE_SECRET_KEY": "c",
        "AWS_SECRET_ACCESS_KEY": "d",
        "PGPASSWORD": "e",
        "ANYTHING_ELSE": "f",
    }
    kept = {"PATH": "/bin", "OMP_NUM_THREADS": "2", "STEMSPLITTER_CACHE_DIR": "/models"}
    assert sandbox.environment(secrets | kept) == kept


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_every_jump_of_the_filter_stays_inside_it(machine: str) -> None:
    import struct

    program = sandbox._program(sandbox._ABIS[machine])
    code = list(struct.iter_unpack("=HBBI", program))
    for at, (operation, if_true, if_false, _) in enumerate(code):
        if operation in (0x15, 0x35):
            assert at + 1 + max(if_true, if_false) < len(code)
    refusal = len(code) - 1
    targets = {at + 1 + code[at][1] for at in range(4, 4 + 5)}
    assert targets == {refusal}
