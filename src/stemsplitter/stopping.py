"""Signals that stop a process: the first stops it cleanly, a second ends it at once.

Python calls a handler only between two instructions of the main thread, which may be inside a library for minutes. So a
thread watches the signals as well, through the file descriptor that :func:`signal.set_wakeup_fd` offers.
"""

import os
import select
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Final, NoReturn

SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
EXIT_STOPPED: Final = 128 + signal.SIGINT
# a shell and a wrapper may both pass on one Ctrl-C: the process still gets this time to clean up
TWICE_SECONDS = 0.5
# time after which the main thread must have handled the first signal
HANDLED_SECONDS = 1.5
_SHOW_CURSOR = b"\x1b[?25h"

_interrupted = threading.Event()


def interrupt(number: int, frame: FrameType | None) -> NoReturn:
    """Raise KeyboardInterrupt, once: later signals do not interrupt the cleanup."""
    _interrupted.set()
    for each in SIGNALS:
        if signal.getsignal(each) is interrupt:
            signal.signal(each, lambda *_: None)
    raise KeyboardInterrupt


@contextmanager
def watched() -> Iterator[None]:
    """Interrupt the main thread at the first signal, unless the block sets other handlers, and end the process at the
    second. Signals that are ignored, as SIGHUP by ``nohup``, stay ignored."""
    _interrupted.clear()
    handlers = {number: signal.getsignal(number) for number in SIGNALS}
    for number in SIGNALS:
        if handlers[number] != signal.SIG_IGN:
            signal.signal(number, interrupt)
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    before = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    done = threading.Event()
    thread = threading.Thread(target=_watch, args=(reader, done), name="signals", daemon=True)
    thread.start()
    try:
        yield
    finally:
        signal.set_wakeup_fd(before)
        done.set()
        os.close(writer)
        thread.join(1.0)
        for number, handler in handlers.items():
            signal.signal(number, handler)


def _watch(reader: int, done: threading.Event) -> None:
    """Read the numbers of signals until the other end is closed."""
    first, handler = None, None
    while True:
        limit = None
        if first is not None and not _interrupted.is_set():
            limit = max(first + HANDLED_SECONDS - time.monotonic(), 0)
        if not select.select([reader], [], [], limit)[0]:
            if handler is interrupt:
                end()
            _interrupted.set()  # the process has a handler of its own
            continue
        numbers = os.read(reader, 64)
        if not numbers:
            os.close(reader)
            return
        for number in numbers:
            if number not in SIGNALS:
                continue
            if first is not None and not done.wait(max(first + TWICE_SECONDS - time.monotonic(), 0)):
                end()
            if first is None:
                first, handler = time.monotonic(), signal.getsignal(number)


def end() -> NoReturn:
    """End the process without cleanup. Files that it was writing have no name yet, or a temporary one."""
    if os.isatty(2):
        os.write(2, _SHOW_CURSOR)  # a progress bar hides it
    os._exit(EXIT_STOPPED)
