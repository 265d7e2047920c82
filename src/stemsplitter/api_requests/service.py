"""Service of the request log: written in batches outside of requests, kept for 30 days."""

import threading
import time
from collections.abc import Sequence
from datetime import timedelta

from sqlalchemy import ColumnElement, delete, func, insert, select
from sqlalchemy.orm import Session

from stemsplitter.api_requests.models import ApiRequest
from stemsplitter.clock import now
from stemsplitter.database import Database, new_id
from stemsplitter.database.best_effort import BestEffort
from stemsplitter.database.paging import page

RETENTION = timedelta(days=30)
MAX_ROWS = 10_000  # of one account
WRITE_S = 1.0  # between two writes
MAX_WAITING = 5_000  # requests of a process that wait to be written; more are not logged
FOLD_S = 60.0
_BATCH = 5_000  # rows that a statement deletes


class RequestLogService:
    """Records, lists and deletes requests.

    Clients poll: requests of a key with the same method, path and status are recorded once a minute by each process,
    except those that change something and succeed.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._lock = threading.Lock()
        self._waiting: list[dict[str, object]] = []
        self._recorded: dict[tuple[str, str, str, int], float] = {}
        self._writes = BestEffort()
        self._closing = threading.Event()

    def add(
        self, account_id: str, key_id: str, method: str, path: str, status: int, request_id: str, ms: float
    ) -> None:
        """Record a request soon, without waiting for the database."""
        folded = method in ("GET", "HEAD") or status >= 400
        if folded and not self._is_due((key_id, method, path, status)):
            return
        row = {
            "id": new_id("rq"),
            "account_id": account_id,
            "key_id": key_id,
            "at": now(),
            "method": method[:16],
            "path": path[:128],
            "status": status,
            "request_id": request_id,
            "ms": round(ms),
        }
        with self._lock:
            if len(self._waiting) < MAX_WAITING:
                self._waiting.append(row)
        self._writes.run(self._write_soon)

    def write(self) -> None:
        """Write the requests that wait."""
        with self._lock:
            rows, self._waiting = self._waiting, []
        if rows:
            with self._database.write() as session:
                session.execute(insert(ApiRequest), rows)

    def close(self, seconds: float) -> None:
        """Write the requests that wait, for at most about ``seconds``."""
        self._closing.set()
        self._writes.wait(seconds)
        self._writes.run(self.write)
        self._writes.wait(seconds)

    def page(
        self, session: Session, account_id: str, *, key_id: str = "", limit: int, cursor: str | None
    ) -> tuple[Sequence[ApiRequest], str | None]:
        """Return a page of the account's requests, optionally of one key, and the next cursor.

        See :func:`~stemsplitter.database.paging.page`.
        """
        own = select(ApiRequest).where(ApiRequest.account_id == account_id)
        only = [ApiRequest.key_id == key_id] if key_id else []
        return page(session, own, (ApiRequest.at, ApiRequest.id), limit=limit, cursor=cursor, only=only)

    def delete_old(self) -> int:
        """Delete requests past their retention, and the oldest of accounts that have too many. Returns their number."""
        deleted = self._delete(ApiRequest.at < now() - RETENTION)
        with self._database.read() as session:
            many = (
                session.execute(
                    select(ApiRequest.account_id)
                    .group_by(ApiRequest.account_id)
                    .having(func.count() > MAX_ROWS)
                )
                .scalars()
                .all()
            )
        for account_id in many:
            with self._database.read() as session:
                own = select(ApiRequest.at).where(ApiRequest.account_id == account_id)
                oldest = session.scalar(own.order_by(ApiRequest.at.desc()).offset(MAX_ROWS - 1).limit(1))
            deleted += self._delete((ApiRequest.account_id == account_id) & (ApiRequest.at < oldest))
        return deleted

    def _delete(self, condition: ColumnElement[bool]) -> int:
        """Delete rows in batches, so that other writes of SQLite do not wait for long."""
        total = 0
        while True:
            some = select(ApiRequest.id).where(condition).limit(_BATCH)
            with self._database.write() as session:
                count = len(
                    session.scalars(
                        delete(ApiRequest).where(ApiRequest.id.in_(some)).returning(ApiRequest.id),
                        execution_options={"synchronize_session": False},
                    ).all()
                )
            total += count
            if count < _BATCH:
                return total

    def _is_due(self, kind: tuple[str, str, str, int]) -> bool:
        at = time.monotonic()
        with self._lock:
            if at - self._recorded.get(kind, -FOLD_S) < FOLD_S:
                return False
            if len(self._recorded) >= MAX_WAITING:
                self._recorded = {
                    each: since for each, since in self._recorded.items() if at - since < FOLD_S
                }
            self._recorded[kind] = at
        return True

    def _write_soon(self) -> None:
        while self._waiting:
            self._closing.wait(WRITE_S)
            self.write()
