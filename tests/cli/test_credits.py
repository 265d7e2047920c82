import json
from pathlib import Path

import pytest
from click.testing import Result
from sqlalchemy import text
from typer.testing import CliRunner

from stemsplitter.cli.main import app
from stemsplitter.database import Database
from stemsplitter.errors import StemSplitterError
from stemsplitter.service_errors import Conflict, NotFound
from stemsplitter.settings import load_settings

EMAIL = "song@example.com"


@pytest.fixture(autouse=True)
def account(data_dir: Path) -> str:
    return CliRunner().invoke(app, ["accounts", "create", EMAIL]).stdout.strip()


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["credits", *arguments])


def test_balance_changes_are_recorded(account: str) -> None:
    assert run("show", EMAIL).stdout == "600\n"
    assert run("grant", account, "100", "--note", "a gift").stdout == "700\n"
    assert run("deduct", EMAIL, "650").stdout == "50\n"
    assert run("purchase", EMAIL, "3600", "--reference", "pay_1").stdout == "3650\n"
    assert run("purchase", EMAIL, "3600", "--reference", "pay_1").stdout == "3650\n"
    assert run("show", EMAIL).stdout == "3650\n"
    rows = json.loads(run("history", EMAIL, "--json").stdout)
    assert sorted((row["kind"], row["amount"], row["for"], row["note"]) for row in rows) == [
        ("grant", -650, None, ""),
        ("grant", 100, None, "a gift"),
        ("grant", 600, f"free:{account}", "free credits of a new account"),
        ("purchase", 3600, "pay_1", ""),
    ]
    assert len(json.loads(run("history", EMAIL, "--json", "--limit", "2").stdout)) == 2
    assert "a gift" in run("history", EMAIL).stdout


def test_invalid_arguments_fail() -> None:
    assert isinstance(run("deduct", EMAIL, "601").exception, Conflict)
    assert isinstance(run("show", "nobody@example.com").exception, NotFound)
    for wrong in (("grant", EMAIL, "0"), ("grant", EMAIL, "many"), ("purchase", EMAIL, "1")):
        assert run(*wrong).exit_code == 2
    assert run("show", EMAIL).stdout == "600\n"


def test_audit_reports_wrong_balance() -> None:
    assert run("audit").stdout == "Every balance equals the sum of its ledger.\n"
    database = Database(load_settings().database)
    with database.write() as session:
        session.execute(text("UPDATE accounts SET balance = 599"))
    database.close()
    done = run("audit")
    assert done.stdout == "song@example.com: balance 599, entries 600\n"
    assert isinstance(done.exception, StemSplitterError)
