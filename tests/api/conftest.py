"""The services of a server, an account with a key, and an in-process client."""

from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from fastapi.testclient import TestClient

from stemsplitter.processes.app import create_app
from stemsplitter.services import Services
from tests.services import services, settings

__all__ = ["services", "settings"]


@dataclass
class Account:
    id: str
    key: str

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.key}"}


@pytest.fixture
def account(services: Services) -> Account:
    with services.database.write() as session:
        made = services.accounts.create_account(session, "someone@example.org")
        return Account(made.id, services.accounts.create_key(session, made.id, "test")[1])


@pytest.fixture
def client(services: Services) -> Iterator[TestClient]:
    with TestClient(create_app(services), raise_server_exceptions=False) as opened:
        yield opened
