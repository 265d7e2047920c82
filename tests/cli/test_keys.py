import json
import re
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from stemsplitter.accounts.service import AccountService
from stemsplitter.cli.main import app
from stemsplitter.database import Database
from stemsplitter.service_errors import NotFound, Unauthorized
from stemsplitter.settings import load_settings
from tests.services import authenticate

EMAIL = "song@example.com"


@pytest.fixture(autouse=True)
def account(data_dir: Path) -> str:
    return CliRunner().invoke(app, ["accounts", "create", EMAIL]).stdout.strip()


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["keys", *arguments])


def owner(key: str) -> str:
    settings = load_settings()
    database = Database(settings.database)
    try:
        return authenticate(AccountService(database, settings, lambda *_: None), database, key).account_id
    finally:
        database.close()


def test_create_prints_the_key_alone(account: str) -> None:
    done = run("create", EMAIL, "--name", "laptop")
    assert re.fullmatch(r"ast_live_[0-9A-Za-z]{32}\n", done.stdout)
    assert owner(done.stdout.strip()) == account


def test_test_key_belongs_to_the_test_account(account: str) -> None:
    key = run("create", EMAIL, "--test").stdout.strip()
    assert re.fullmatch(r"ast_test_[0-9A-Za-z]{32}", key) and owner(key) == f"test_{account}"
    assert account in CliRunner().invoke(app, ["accounts", "list"]).stdout
    assert "test_" not in CliRunner().invoke(app, ["accounts", "list"]).stdout
    done = CliRunner().invoke(app, ["credits", "grant", f"test_{account}", "10"])
    assert isinstance(done.exception, NotFound)


def test_list_shows_prefix_but_no_key(account: str) -> None:
    shown = [run("create", account, "--name", name).stdout.strip() for name in ("laptop", "server")]
    owner(shown[1])
    rows = json.loads(run("list", EMAIL, "--json").stdout)
    assert [(row["name"], row["prefix"]) for row in rows] == [
        ("laptop", shown[0][:12]),
        ("server", shown[1][:12]),
    ]
    assert rows[0]["last_used"] is None and rows[1]["last_used"] is not None
    text = run("list", EMAIL).stdout
    assert rows[0]["id"] in text and not any(key in text for key in shown)


def test_revoke_rejects_key(account: str) -> None:
    shown = run("create", EMAIL).stdout.strip()
    (row,) = json.loads(run("list", EMAIL, "--json").stdout)
    assert run("revoke", EMAIL, row["id"]).stdout == f"{row['id']} ({shown[:12]}…) is revoked.\n"
    with pytest.raises(Unauthorized):
        owner(shown)
    assert json.loads(run("list", EMAIL, "--json").stdout)[0]["revoked"] is not None


def test_invalid_arguments_fail() -> None:
    assert isinstance(run("create", "nobody@example.com").exception, NotFound)
    assert isinstance(run("list", "nobody@example.com").exception, NotFound)
    assert isinstance(run("revoke", EMAIL, "key_x").exception, NotFound)
