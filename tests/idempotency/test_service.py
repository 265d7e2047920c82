"""A request with the same key and body creates once."""

import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import func, select, update

from stemsplitter.accounts.models import Account
from stemsplitter.clock import now
from stemsplitter.database import Database
from stemsplitter.idempotency import service
from stemsplitter.idempotency.models import IdempotencyRecord
from stemsplitter.idempotency.service import IdempotencyService, Record, Request
from stemsplitter.service_errors import Conflict, ValidationFailed


@pytest.fixture(autouse=True)
def accounts(database: Database) -> None:
    with database.write() as session:
        session.add_all(
            [Account(id="acc_1", email="1@example.org"), Account(id="acc_2", email="2@example.org")]
        )


@pytest.fixture
def idempotency(database: Database) -> IdempotencyService:
    return IdempotencyService(database)


class Creator:
    """Creates accounts, which can be counted, and returns a number."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.lock = threading.Lock()
        self.calls = 0

    def __call__(self, record: Record) -> Mapping[str, Any]:
        with self.lock:
            self.calls += 1
            number = self.calls
        data = {"z": "é", "number": number}
        with self.database.write() as session:
            session.add(Account(email=f"created{number}@example.org"))
            record(session, data)
        return data

    @property
    def created(self) -> int:
        with self.database.read() as session:
            return session.scalar(select(func.count()).where(Account.email.startswith("created"))) or 0


REQUEST = Request("acc_1", "POST /v1/audio/splits", "key", "hash")


def test_repeated_request_gets_the_stored_response(
    database: Database, idempotency: IdempotencyService
) -> None:
    creator = Creator(database)
    first = idempotency.run(REQUEST, creator)
    second = idempotency.run(REQUEST, creator)
    assert first == ({"z": "é", "number": 1}, False)
    assert second == ({"z": "é", "number": 1}, True)
    assert list(second[0]) == ["z", "number"]
    assert creator.created == 1


@pytest.mark.parametrize(
    "other", [{"account_id": "acc_2"}, {"route": "POST /v1/audio/uploads"}, {"key": "KEY"}]
)
def test_keys_are_scoped_to_account_and_route(
    other: dict[str, str], database: Database, idempotency: IdempotencyService
) -> None:
    creator = Creator(database)
    idempotency.run(REQUEST, creator)
    assert not idempotency.run(replace(REQUEST, **other), creator)[1]
    assert creator.created == 2


def test_different_body_is_refused(database: Database, idempotency: IdempotencyService) -> None:
    creator = Creator(database)
    idempotency.run(REQUEST, creator)
    with pytest.raises(ValidationFailed, match="a different body"):
        idempotency.run(replace(REQUEST, body_hash="other"), creator)
    assert creator.calls == 1


def test_request_in_progress_is_a_conflict(database: Database, idempotency: IdempotencyService) -> None:
    creator = Creator(database)

    def slow(record: Record) -> Mapping[str, Any]:
        with pytest.raises(Conflict, match="in progress") as refused:
            idempotency.run(REQUEST, creator)
        assert 1 <= refused.value.details["retryAfter"] <= service.LEASE.total_seconds()
        return creator(record)

    assert idempotency.run(REQUEST, slow)[0]["number"] == 1
    assert creator.created == 1


def test_failure_is_not_stored(database: Database, idempotency: IdempotencyService) -> None:
    def failing(record: Record) -> Mapping[str, Any]:
        with database.write() as session:
            record(session, {})
            raise ValidationFailed("too long")

    with pytest.raises(ValidationFailed, match="too long"):
        idempotency.run(REQUEST, failing)
    creator = Creator(database)
    assert not idempotency.run(REQUEST, creator)[1]


def test_lease_of_a_dead_process_expires(database: Database, idempotency: IdempotencyService) -> None:
    creator = Creator(database)

    def overtaken(record: Record) -> Mapping[str, Any]:
        with database.write() as session:
            session.execute(update(IdempotencyRecord).values(created_at=now() - service.LEASE))
        assert not idempotency.run(REQUEST, creator)[1]
        return creator(record)  # wakes up late, and may commit nothing

    with pytest.raises(Conflict):
        idempotency.run(REQUEST, overtaken)
    assert creator.created == 1
    assert idempotency.run(REQUEST, creator) == ({"z": "é", "number": 1}, True)


def test_responses_are_stored_for_the_retention_period(
    database: Database, idempotency: IdempotencyService
) -> None:
    creator = Creator(database)
    idempotency.run(REQUEST, creator)
    for age, replayed in ((timedelta(hours=24), True), (service.RETENTION + timedelta(seconds=1), False)):
        with database.write() as session:
            session.execute(update(IdempotencyRecord).values(created_at=now() - age))
        assert idempotency.run(REQUEST, creator)[1] is replayed


def test_one_of_concurrent_requests_creates(database: Database, idempotency: IdempotencyService) -> None:
    creator = Creator(database)
    start = threading.Barrier(8)

    def send(_: int) -> int | None:
        start.wait(60)
        try:
            return idempotency.run(REQUEST, creator)[0]["number"]
        except Conflict:
            return None

    with ThreadPoolExecutor(8) as pool:
        numbers = set(pool.map(send, range(8)))
    assert numbers <= {1, None} and 1 in numbers
    assert creator.created == 1
