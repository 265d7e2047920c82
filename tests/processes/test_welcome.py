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
from stemsplitter.services import Application
from stemsplitter.settings import Settings
from tests.acceptance.tiny_model import write_tiny_model


@pytest.fixture
def application(database: Database, tmp_path: Path) -> Iterator[Application]:
    application = Application(Settings(data_dir=tmp_path / "data", model_6s="tiny"))
    (tmp_path / "data").mkdir()
    store = ModelStore(tmp_path / "models")
    store.add("tiny", write_tiny_model(tmp_path / "tiny.safetensors"))
    application.__dict__["database"] = database
    application.__dict__["models"] = store
    yield application
    application.close()


def test_the_first_start_gives_a_key_and_a_line_that_works(application: Application) -> None:
    said = welcome(application)
    key = re.search(r"ast_live_\w{32}", said)
    assert key is not None
    assert said.count(key[0]) == 3
    line = re.search(r"^curl .* -d .*$", said, re.MULTILINE)
    assert line is not None
    _, url, _, authorization, _, content_type, _, body = shlex.split(line[0])
    headers = dict(header.split(": ") for header in (authorization, content_type))
    with TestClient(create_app(application)) as client:
        answer = client.post(url.removeprefix(application.settings.base_url), content=body, headers=headers)
    assert answer.status_code == 200, answer.text
    created = answer.json()["data"]
    assert (created["status"], created["creditsUsed"]) == ("queued", 8)
    account_id = application.accounts.authenticate(key[0]).account_id
    (split,) = application.splits.page(account_id, limit=1, cursor=None, status=None)[0]
    assert (split.stem_model, split.filename) == ("6s", "demo.flac")


def test_the_first_start_gives_a_link_that_signs_in_to_the_owners_account(application: Application) -> None:
    link = re.search(r"^(http.*)/sign-in/link/(\S+)$", welcome(application), re.MULTILINE)
    assert link is not None and link[1] == application.settings.base_url
    with application.database.read() as session:
        owner = application.sessions.link_owner(session, link[2])
    assert (owner.email, owner.role) == ("owner@example.com", "operator")


def test_a_later_start_makes_nothing(application: Application) -> None:
    assert first_account(application) is not None
    assert first_account(application) is None
    assert welcome(application) == f"Stem Splitter is running on {application.settings.base_url}"
