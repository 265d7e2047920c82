"""Output of a server's start."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from stemsplitter.catalogue.store import ModelStore
from stemsplitter.database import Database
from stemsplitter.processes.app import create_app
from stemsplitter.processes.first_account import create_first_account
from stemsplitter.processes.first_run import startup_message
from stemsplitter.services import Services
from stemsplitter.settings import Settings
from tests.acceptance.tiny_model import write_tiny_model
from tests.services import authenticate


@pytest.fixture
def services(database: Database, tmp_path: Path) -> Iterator[Services]:
    services = Services(Settings(data_dir=tmp_path / "data", model_6s="tiny"))
    (tmp_path / "data").mkdir()
    store = ModelStore(tmp_path / "models")
    store.add("tiny", write_tiny_model(tmp_path / "tiny.safetensors"))
    services.__dict__["database"] = database
    services.__dict__["models"] = store
    yield services
    services.close()


def test_first_start_prints_a_key_and_a_command_that_works(services: Services) -> None:
    message = startup_message(services)
    key = re.search(r"ast_live_\w{32}", message)
    assert key is not None
    assert message.count(key[0]) == 3
    line = re.search(r"^curl .* -d .*$", message, re.MULTILINE)
    assert line is not None
    _, url, _, authorization, _, content_type, _, body = shlex.split(line[0])
    headers = dict(header.split(": ") for header in (authorization, content_type))
    with TestClient(create_app(services)) as client:
        answer = client.post(url.removeprefix(services.settings.base_url), content=body, headers=headers)
    assert answer.status_code == 200, answer.text
    created = answer.json()["data"]
    assert (created["status"], created["creditsUsed"]) == ("queued", 8)
    account_id = authenticate(services.accounts, services.database, key[0]).account_id
    (split,) = services.splits.page(account_id, limit=1, cursor=None, status=None)[0]
    assert (split.stem_model, split.filename) == ("6s", "demo.flac")


def test_first_start_prints_a_link_that_signs_in_the_owner(services: Services) -> None:
    link = re.search(r"^(http.*)/sign-in/link/(\S+)$", startup_message(services), re.MULTILINE)
    assert link is not None and link[1] == services.settings.base_url
    with services.database.read() as session:
        owner = services.sessions.link_owner(session, link[2])
    assert (owner.email, owner.role) == ("owner@example.com", "operator")


def test_later_start_creates_nothing(services: Services) -> None:
    assert create_first_account(services) is not None
    assert create_first_account(services) is None
    assert startup_message(services) == f"Stem Splitter is running on {services.settings.base_url}"
