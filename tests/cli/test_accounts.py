import json
import re
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from stemsplitter.accounts.service import AccountService
from stemsplitter.cli.admin import open_services
from stemsplitter.cli.main import app
from stemsplitter.database import Database
from stemsplitter.errors import StemSplitterError
from stemsplitter.service_errors import Conflict, NotFound, Unauthorized, ValidationFailed
from stemsplitter.settings import load_settings


@pytest.fixture(autouse=True)
def _data(data_dir: Path) -> None:
    pass


def run(*arguments: str, read: str = "") -> Result:
    return CliRunner().invoke(app, ["accounts", *arguments], input=read)


def proves(email: str, password: str) -> bool:
    settings = load_settings()
    database = Database(settings.database)
    try:
        with database.read() as session:
            AccountService(database, settings, lambda *_: None).verify_password(session, email, password)
    except Unauthorized:
        return False
    finally:
        database.close()
    return True


def test_create_prints_the_id_alone(data_dir: Path) -> None:
    done = run("create", "Song@Example.com", "--name", "Song")
    assert done.exit_code == 0
    assert re.fullmatch(r"acc_[0-9A-Za-z]{22}\n", done.stdout)
    assert "song@example.com has 600 credits" in done.stderr
    assert (data_dir / "stemsplitter.db").is_file()


def test_data_dir_option_overrides_setting(tmp_path: Path, data_dir: Path) -> None:
    assert run("create", "a@b.de", "--data-dir", str(tmp_path / "other")).exit_code == 0
    assert (tmp_path / "other" / "stemsplitter.db").is_file()
    assert not data_dir.exists()


def test_list_columns() -> None:
    first, second = (
        run("create", email, *more).stdout.strip() for email, *more in (["a@b.de"], ["c@d.de", "--operator"])
    )
    run("disable", "c@d.de")
    rows = json.loads(run("list", "--json").stdout)
    assert [(row["id"], row["email"], row["role"], row["balance"]) for row in rows] == [
        (first, "a@b.de", "user", 600),
        (second, "c@d.de", "operator", 600),
    ]
    assert rows[0]["disabled"] is None
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", rows[1]["disabled"])
    text = run("list").stdout
    assert [line.split()[:2] for line in text.splitlines()] == [
        ["id", "email"],
        [first, "a@b.de"],
        [second, "c@d.de"],
    ]


def test_disable_and_enable() -> None:
    run("create", "a@b.de")
    assert run("disable", "A@b.de").stdout == "a@b.de is disabled.\n"
    assert json.loads(run("list", "--json").stdout)[0]["disabled"]
    assert run("enable", "a@b.de").stdout == "a@b.de is enabled.\n"
    assert json.loads(run("list", "--json").stdout)[0]["disabled"] is None


def test_passwords_come_from_standard_input() -> None:
    run("create", "a@b.de", "--password", read="correct horse\n")
    assert proves("a@b.de", "correct horse")
    done = run("password", "a@b.de", read="battery staple\n")
    assert "battery" not in done.output
    assert proves("a@b.de", "battery staple") and not proves("a@b.de", "correct horse")


def test_webhook_secret_is_shown_once() -> None:
    run("create", "a@b.de")
    first = run("webhook-secret", "a@b.de")
    assert re.fullmatch(r"whsec_[A-Za-z0-9+/]{43}=\n", first.stdout)
    assert isinstance(run("webhook-secret", "a@b.de").exception, Conflict)
    second = run("webhook-secret", "a@b.de", "--rotate")
    assert second.exit_code == 0 and second.stdout != first.stdout


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (("create", "nonsense"), ValidationFailed),
        (("create", "here@b.de"), Conflict),
        (("create", "a@b.de", "--password"), ValidationFailed),  # empty
        (("disable", "nobody@b.de"), NotFound),
        (("password", "here@b.de"), ValidationFailed),
        (("webhook-secret", "acc_x"), NotFound),
    ],
)
def test_invalid_arguments_fail(arguments: tuple[str, ...], error: type[StemSplitterError]) -> None:
    run("create", "here@b.de")
    assert isinstance(run(*arguments).exception, error)
    assert len(json.loads(run("list", "--json").stdout)) == 1


def test_new_password_ends_session_of_sign_in_link() -> None:
    run("create", "a@b.de")
    done = run("sign-in-link", "a@b.de")
    assert done.exit_code == 0
    link = re.fullmatch(r"http://127\.0\.0\.1:8000/sign-in/link/([\w-]{43})\n", done.stdout)
    assert link is not None
    with open_services(None) as services:
        with services.database.read() as session:
            assert services.sessions.link_owner(session, link[1]).email == "a@b.de"
        with services.database.write() as session:
            token = services.sessions.use_link(session, link[1])
        assert services.sessions.find(token) is not None
    assert run("password", "a@b.de", read="correct horse\n").exit_code == 0
    with open_services(None) as services:
        assert services.sessions.find(token) is None


def test_sign_in_link_requires_account() -> None:
    assert isinstance(run("sign-in-link", "no@b.de").exception, NotFound)
