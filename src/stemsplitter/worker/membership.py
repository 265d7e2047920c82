"""Membership of a server: all processes on one database must share the file storage and the secret key.

Processes publish fingerprints of both, from which neither can be derived.
"""

import hmac
import socket
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from stemsplitter.database import one_at_a_time
from stemsplitter.version import __version__
from stemsplitter.worker.models import Worker

WORKER, API = "worker", "api"
_DIGITS = 32  # of a fingerprint, in hex: 128 bits
_LOCK = 0x4D454D42  # "MEMB": any number that all processes agree on


@dataclass(frozen=True, slots=True)
class Identity:
    """The data that a process publishes about itself.

    Attributes:
        role: :data:`WORKER` or :data:`API`.
        storage, secret: fingerprints.
        in_folder: true if the storage is a folder, which only one host can access.
    """

    role: str
    storage: str
    secret: str
    in_folder: bool
    version: str = __version__


def identity(role: str, storage_url: str, key: bytes) -> Identity:
    """Return the identity of this process; ``key`` is derived from the server's secret key."""
    return Identity(
        role=role,
        storage=_fingerprint(key, f"storage {storage_url.rstrip('/')}"),
        secret=_fingerprint(key, "secret key"),
        in_folder=storage_url.startswith("file:"),
    )


def lock(session: Session) -> None:
    """Hold the membership lock until the transaction ends, so that two conflicting processes cannot both join."""
    one_at_a_time(session, _LOCK)


def find_conflict(
    session: Session, own: Identity, live: Sequence[str], *, is_sqlite: bool
) -> tuple[Worker, str] | None:
    """Return the first of the ``live`` processes that conflicts with this one, and the error message; None if none
    does."""
    for other in session.scalars(select(Worker).where(Worker.id.in_(live)).order_by(Worker.id)):
        if message := _conflict(own, other, is_sqlite):
            return other, message
    return None


def _conflict(own: Identity, other: Worker, is_sqlite: bool) -> str:
    process = f"{'an API' if other.role == API else 'a worker'} of this server on {other.host}"
    is_remote = other.host != socket.gethostname()
    if is_sqlite and is_remote:
        return (
            f"There is {process}, but a SQLite database works on one host only: set STEMSPLITTER_DATABASE_URL to a "
            "PostgreSQL database, or stop that process."
        )
    if other.secret != own.secret:
        return (
            f"There is {process} with a different secret key: set STEMSPLITTER_SECRET_KEY to the same value for all "
            "processes; if it is not set for that one, it is in the file secret.key of its data folder."
        )
    if own.in_folder and is_remote:
        return (
            f"There is {process}, but files in a folder are available on one host only: set "
            "STEMSPLITTER_STORAGE_URL to the same s3://BUCKET for all processes, or stop that process."
        )
    if other.storage != own.storage:
        return (
            f"There is {process} with a different file storage: set STEMSPLITTER_STORAGE_URL to the same value "
            "for all processes."
        )
    return ""


def _fingerprint(key: bytes, of: str) -> str:
    return hmac.digest(key, of.encode(), "sha256").hex()[:_DIGITS]
