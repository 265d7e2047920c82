"""A server without a network: its application, a key, and a client that calls it in process."""

from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from fastapi.testclient import TestClient

from stemsplitter.processes.app import create_app
from stemsplitter.services import Application
from tests.applications import application, settings

__all__ = ["application", "settings"]


@dataclass
class Account:
    id: str
    key: str

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.key}"}


@pytest.fixture
def account(application: Application) -> Account:
    with application.database.write() as session:
        made = application.accounts.create_account(session, "someone@example.org")
        return Account(made.id, application.accounts.create_key(session, made.id, "test")[1])


@pytest.fixture
def client(application: Application) -> Iterator[TestClient]:
    with TestClient(create_app(application), raise_server_exceptions=False) as opened:
        yield opened
