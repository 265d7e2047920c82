from collections.abc import Iterator

import pytest

from stemsplitter.accounts import secrets_service
from stemsplitter.database import Database
from stemsplitter.webhooks import attempts, service
from tests.loopback import Site
from tests.webhooks.world import Clock, World


@pytest.fixture
def world(database: Database) -> World:
    return World(database, "127.0.0.0/8")


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(service, "now", made)
    monkeypatch.setattr(attempts, "now", made)
    monkeypatch.setattr(secrets_service, "now", made)
    return made


@pytest.fixture
def receiver() -> Iterator[Site]:
    with Site("/hook?tenant=7") as running:
        yield running
