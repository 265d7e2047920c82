"""Ports and processes of the machine."""

import socket
from contextlib import suppress
from pathlib import Path


def free_port() -> int:
    """Find a port of loopback on which nothing listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def children(process: int) -> set[int]:
    """Process ids of the children of a process; a worker's children run separations."""
    with suppress(FileNotFoundError):  # the process has ended
        tasks = Path(f"/proc/{process}/task").glob("*/children")
        return {int(child) for path in tasks for child in path.read_text().split()}
    return set()


def is_running(pid: int) -> bool:
    """Return True if the process exists and is not a zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False
