"""The first signal stops a process cleanly, a second ends it at once (fault C)."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from stemsplitter.stopping import EXIT_STOPPED, SIGNALS

LIMIT_S = 60

PRELUDE = """
import hashlib, sys, time
from stemsplitter.stopping import watched

def compute():  # in C, where no signal handler is called, for hours
    hashlib.pbkdf2_hmac("sha256", b"", b"", 2**31 - 1)
"""
STUCK_CLEANUP = """
with watched():
    try:
        print("ready", flush=True)
        time.sleep(600)
    finally:
        print("cleanup", flush=True)
        compute()
"""
STUCK_WORK = """
import threading
with watched():
    threading.Timer(1, print, ["ready"], {"flush": True}).start()
    compute()
"""
OWN_HANDLER = """
import signal
with watched():
    signal.signal(signal.SIGTERM, lambda *_: print("handled", flush=True))
    print("ready", flush=True)
    time.sleep(2 + 2)  # longer than a stuck command may take
    print("end", flush=True)
"""


@contextmanager
def running(program: str) -> Iterator["subprocess.Popen[str]"]:
    """Run a program that prints ``ready``, and kill it at the end."""
    with subprocess.Popen(
        [sys.executable, "-c", PRELUDE + program],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            yield process
        finally:
            process.kill()


@pytest.mark.parametrize("first", SIGNALS)
@pytest.mark.parametrize("second", SIGNALS)
def test_c_second_signal_ends_a_process_whose_cleanup_hangs(
    first: signal.Signals, second: signal.Signals
) -> None:
    with running(STUCK_CLEANUP) as process:
        process.send_signal(first)
        assert process.stdout is not None
        assert process.stdout.readline() == "cleanup\n"
        process.send_signal(second)
        assert process.wait(LIMIT_S) == EXIT_STOPPED


@pytest.mark.parametrize("number", SIGNALS)
def test_c_first_signal_ends_a_command_that_cannot_handle_it(number: signal.Signals) -> None:
    with running(STUCK_WORK) as process:
        process.send_signal(number)
        assert process.wait(LIMIT_S) == EXIT_STOPPED


def test_c_first_signal_does_not_end_a_process_with_its_own_handler() -> None:
    with running(OWN_HANDLER) as process:
        process.send_signal(signal.SIGTERM)
        assert process.stdout is not None
        assert process.stdout.read() == "handled\nend\n"
        assert process.wait(LIMIT_S) == 0
