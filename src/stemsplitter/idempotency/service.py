"""Idempotency keys: a request with the same key and body gets the same response, as in
https://datatracker.ietf.org/doc/draft-ietf-httpapi-idempotency-key-header/.

The response is stored in the transaction that does the work (:data:`Record`).
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, CursorResult, and_, delete, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from stemsplitter.clock import now
from stemsplitter.database import Database
from stemsplitter.idempotency.models import IdempotencyRecord
from stemsplitter.service_errors import Conflict, ValidationFailed

RETENTION = timedelta(hours=48)
# a request without a response after this time died with its process, and committed nothing; a create takes up to 45 s
LEASE = timedelta(seconds=60)
# most requests take less; that of a killed process has the key until its lease expires
RETRY_AFTER_S = 10

# called in the transaction that creates, with the `data` of the response
Record = Callable[[Session, Mapping[str, Any]], None]


@dataclass(frozen=True, slots=True)
class Request:
    """A request with an idempotency key: its account, route, and the SHA-256 of its body."""

    account_id: str
    route: str
    key: str
    body_hash: str


class IdempotencyService:
    """Stores responses of requests with an idempotency key for :data:`RETENTION`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def run(
        self, request: Request, create: Callable[[Record], Mapping[str, Any]]
    ) -> tuple[Mapping[str, Any], bool]:
        """Return the result of ``create``, or the stored one and true.

        ``create`` must call its :data:`Record` in the transaction that creates. If it raises, nothing is stored.

        Raises:
            Conflict: a request with this key is in progress.
            ValidationFailed: the key was used with a different body.
        """
        claimed_at = now()
        try:
            stored = self._claim(request, claimed_at)
        except IntegrityError as error:  # PostgreSQL: a concurrent request with this key was first
            raise _in_flight() from error
        if stored is not None:
            return stored, True
        try:
            return create(lambda session, data: self._finish(session, request, claimed_at, data)), False
        except BaseException:
            self._delete(request, claimed_at)
            raise

    def _claim(self, request: Request, at: datetime) -> Mapping[str, Any] | None:
        with self._database.write() as session:
            session.execute(delete(IdempotencyRecord).where(IdempotencyRecord.created_at < at - RETENTION))
            identity = (request.account_id, request.route, request.key)
            record = session.get(IdempotencyRecord, identity, with_for_update=True)
            if record is None:
                session.add(
                    IdempotencyRecord(
                        account_id=request.account_id,
                        route=request.route,
                        key=request.key,
                        body_hash=request.body_hash,
                        created_at=at,
                    )
                )
                return None
            if record.body_hash != request.body_hash:
                raise ValidationFailed(
                    "This idempotency key was used with a different body: use a new key.",
                    param="Idempotency-Key",
                )
            if record.response_body is not None:
                stored: Mapping[str, Any] = json.loads(record.response_body)
                return stored
            if record.created_at > at - LEASE:
                raise _in_flight(record.created_at + LEASE - at)
            record.created_at = at
            return None

    def _finish(
        self, session: Session, request: Request, claimed_at: datetime, data: Mapping[str, Any]
    ) -> None:
        changed = session.execute(
            update(IdempotencyRecord)
            .where(_this(request, claimed_at))
            .values(status="done", response_body=json.dumps(data, ensure_ascii=False))
        )
        assert isinstance(changed, CursorResult)
        if changed.rowcount != 1:  # the lease expired and another request has the key
            raise _in_flight()

    def _delete(self, request: Request, claimed_at: datetime) -> None:
        with self._database.write() as session:
            session.execute(
                delete(IdempotencyRecord).where(
                    _this(request, claimed_at), IdempotencyRecord.status == "in_flight"
                )
            )


def _this(request: Request, claimed_at: datetime) -> ColumnElement[bool]:
    return and_(
        IdempotencyRecord.account_id == request.account_id,
        IdempotencyRecord.route == request.route,
        IdempotencyRecord.key == request.key,
        IdempotencyRecord.created_at == claimed_at,
    )


def _in_flight(left: timedelta = LEASE) -> Conflict:
    """Return the error of a request whose key another one has, for ``left`` at most."""
    seconds = min(max(round(left.total_seconds()), 1), RETRY_AFTER_S)
    return Conflict(
        "A request with this idempotency key is in progress: wait for it, then send it again.",
        details={"retryAfter": seconds},
    )
