"""What a new server says."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from stemsplitter.catalogue.store import ModelStore
from stemsplitter.database import Database
from stemsplitter.processes.app import create_app
from stemsplitter.processes.first_run import first_account, welcome
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


def test_the_first_start_gives_a_key_and_a_line_that_works(services: Services) -> None:
    said = welcome(services)
    key = re.search(r"ast_live_\w{32}", said)
    assert key is not None
    assert said.count(key[0]) == 3
    line = re.search(r"^curl .* -d .*$", said, re.MULTILINE)
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


def test_the_first_start_gives_a_link_that_signs_in_to_the_owners_account(services: Services) -> None:
    link = re.search(r"^(http.*)/sign-in/link/(\S+)$", welcome(services), re.MULTILINE)
    assert link is not None and link[1] == services.settings.base_url
    with services.database.read() as session:
        owner = services.sessions.link_owner(session, link[2])
    assert (owner.email, owner.role) == ("owner@example.com", "operator")


def test_a_later_start_makes_nothing(services: Services) -> None:
    assert first_account(services) is not None
    assert first_account(services) is None
    assert welcome(services) == f"Stem Splitter is running on {services.settings.base_url}"
