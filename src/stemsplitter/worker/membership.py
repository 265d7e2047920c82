"""Which processes can make up one server: those on one database must share the store of files and the secret key.

A process tells of both by fingerprints, from which neither can be found out.
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
class Mark:
    """What a process of the server tells of itself.

    Attributes:
        role: :data:`WORKER` or :data:`API`.
        storage, secret: fingerprints.
        in_folder: whether the store of files is a folder, which is there for one host only.
    """

    role: str
    storage: str
    secret: str
    in_folder: bool
    version: str = __version__


def mark(role: str, storage_url: str, key: bytes) -> Mark:
    """The mark of this process; ``key`` is derived from the server's secret key."""
    return Mark(
        role=role,
        storage=_fingerprint(key, f"storage {storage_url.rstrip('/')}"),
        secret=_fingerprint(key, "secret key"),
        in_folder=storage_url.startswith("file:"),
    )


def take_turn(session: Session) -> None:
    """Wait until no other process is being checked: two that do not fit must not both come in."""
    one_at_a_time(session, _LOCK)


def misfit(
    session: Session, own: Mark, living: Sequence[str], *, is_sqlite: bool
) -> tuple[Worker, str] | None:
    """The first of the ``living`` processes that this one cannot be beside, and a sentence that says why and what to
    do; None where it fits."""
    for other in session.scalars(select(Worker).where(Worker.id.in_(living)).order_by(Worker.id)):
        if complaint := _complaint(own, other, is_sqlite):
            return other, complaint
    return None


def _complaint(own: Mark, other: Worker, is_sqlite: bool) -> str:
    who = f"{'an API' if other.role == API else 'a worker'} of this server on {other.host}"
    elsewhere = other.host != socket.gethostname()
    if is_sqlite and elsewhere:
        return (
            f"There is {who}, and a SQLite database works on one host only: set STEMSPLITTER_DATABASE_URL to a "
            "PostgreSQL database, or stop that process."
        )
    if other.secret not in (None, own.secret):
        return (
            f"There is {who} with another secret key: give all processes the same STEMSPLITTER_SECRET_KEY, which is "
            "what the file secret.key in that one's data folder holds unless it was set."
        )
    if own.in_folder and elsewhere:
        return (
            f"There is {who}, and files in a folder are there for one host only: set STEMSPLITTER_STORAGE_URL to the "
            "same s3://BUCKET everywhere, or stop that process."
        )
    if other.storage not in (None, own.storage):
        return f"There is {who} with another store of files: give all processes the same STEMSPLITTER_STORAGE_URL."
    return ""


def _fingerprint(key: bytes, of: str) -> str:
    return hmac.digest(key, of.encode(), "sha256").hex()[:_DIGITS]
