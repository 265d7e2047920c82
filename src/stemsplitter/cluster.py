"""Connections to a scheduler of dask, and what a task learns from its worker."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stemsplitter.errors import RequestError

if TYPE_CHECKING:
    from distributed import Client

CONNECT_S = 10.0
RECONNECT_S = 300.0
"""Time for a scheduler to start again, or to become reachable again, before a client gives up."""


def connect(address: str, reconnect_s: float = RECONNECT_S) -> "Client":
    """Connect to the scheduler at ``address`` (``tcp://HOST:8786``), or to the one that a scheduler file names.

    If the connection is lost, the client tries to restore it for ``reconnect_s`` seconds, then it closes.

    Raises:
        RequestError: the extra is not installed, or no scheduler answers.
    """
    try:
        from distributed import Client
    except ImportError as error:
        raise RequestError(
            "A cluster needs dask: run `pip install stemsplitter[cluster]` on all its machines."
        ) from error
    arguments: dict[str, Any] = {"address": address} if "://" in address else {"scheduler_file": address}
    arguments |= {"name": "stemsplitter", "set_as_default": False}
    try:
        if "://" not in address:
            Path(address).read_bytes()  # dask waits for a file that does not exist
        # a client waits as long for its first connection as for a lost one: find out first whether there is a scheduler
        Client(**arguments, timeout=CONNECT_S).close()
        return Client(**arguments, timeout=reconnect_s)
    except (OSError, ValueError) as error:
        raise RequestError(
            f"No scheduler answers at {address}: start one with `dask scheduler`, or correct the address."
        ) from error


@contextmanager
def connected(address: str) -> Iterator["Client"]:
    """Connect to a scheduler, like :func:`connect`, for the length of the block."""
    with connect(address) as client:
        yield client


def check_connection(client: "Client") -> None:
    """Raise RequestError if the client has given up on its scheduler."""
    if client.status in ("closing", "closed"):
        raise RequestError(
            "The scheduler of the cluster does not answer anymore: start it, then run this again with --skip-existing."
        )


def stop_of_task() -> Callable[[], bool]:
    """Return a function that returns True once the result of the current task is not wanted.

    That is so when the task was canceled, its client has ended, or the worker lost its scheduler.
    """
    from distributed import Status, get_worker

    worker = get_worker()
    key = worker.get_current_task()

    def is_unwanted() -> bool:
        task = worker.state.tasks.get(key)
        return task is None or task.state == "cancelled" or worker.status != Status.running

    return is_unwanted
