import base64
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from stemsplitter.accounts import secrets_service
from stemsplitter.accounts.models import Account, WebhookSecret
from stemsplitter.accounts.secret_box import SecretBox
from stemsplitter.accounts.secrets_service import WebhookSecrets
from stemsplitter.database import Database
from stemsplitter.errors import SettingsError
from stemsplitter.service_errors import Conflict, NotFound

START = datetime(2026, 5, 3, 10, 20, 30, tzinfo=UTC)


class Clock:
    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.at = START
        monkeypatch.setattr(secrets_service, "now", lambda: self.at)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


@pytest.fixture
def secrets() -> WebhookSecrets:
    return WebhookSecrets(SecretBox(b"0123456789abcdef0123456789abcdef"))


@pytest.fixture
def account(database: Database) -> str:
    with database.write() as session:
        account = Account(email="song@example.com")
        session.add(account)
        session.flush()
        return account.id


def rows(session: Session) -> int:
    return session.scalar(select(func.count()).select_from(WebhookSecret)) or 0


def test_first_secret_is_created_once(database: Database, secrets: WebhookSecrets, account: str) -> None:
    with database.write() as session:
        assert secrets.active_secrets(session, account) == []
        shown = secrets.create_secret(session, account)
        assert secrets.active_secrets(session, account) == [shown]
        with pytest.raises(Conflict, match="rotate it"):
            secrets.create_secret(session, account)
    assert shown.startswith("whsec_") and len(base64.b64decode(shown.removeprefix("whsec_"))) == 32


def test_secret_is_stored_encrypted(database: Database, secrets: WebhookSecrets, account: str) -> None:
    with database.write() as session:
        shown = secrets.create_secret(session, account)
        (stored,) = session.scalars(select(WebhookSecret)).all()
    kept = f"{stored.secret_encrypted} {stored.prefix}"
    assert shown not in kept and shown[6:] not in kept
    assert stored.prefix == shown[:12]


def test_both_secrets_sign_for_a_day_after_a_rotation(
    database: Database, secrets: WebhookSecrets, account: str, clock: Clock
) -> None:
    with database.write() as session:
        old = secrets.create_secret(session, account)
        clock.at = START + timedelta(days=100)
        new = secrets.rotate_secret(session, account)
        assert secrets.active_secrets(session, account) == [new, old]
        clock.at += timedelta(hours=24) - timedelta(milliseconds=1)
        assert secrets.active_secrets(session, account) == [new, old]
        clock.at += timedelta(milliseconds=1)
        assert secrets.active_secrets(session, account) == [new]


def test_second_rotation_extends_nothing_and_deletes_expired_secrets(
    database: Database, secrets: WebhookSecrets, account: str, clock: Clock
) -> None:
    with database.write() as session:
        first = secrets.rotate_secret(session, account)
        clock.at = START + timedelta(hours=1)
        second = secrets.rotate_secret(session, account)
        clock.at = START + timedelta(hours=13)
        third = secrets.rotate_secret(session, account)
        assert secrets.active_secrets(session, account) == [third, second, first]
        clock.at = START + timedelta(hours=26)
        assert secrets.active_secrets(session, account) == [third, second]
        assert rows(session) == 3
        fourth = secrets.rotate_secret(session, account)
        assert secrets.active_secrets(session, account) == [fourth, third, second]
        assert rows(session) == 3  # the first is deleted


def test_clock_set_back_does_not_change_the_order(
    database: Database, secrets: WebhookSecrets, account: str, clock: Clock
) -> None:
    with database.write() as session:
        old = secrets.create_secret(session, account)
        clock.at -= timedelta(minutes=5)
        new = secrets.rotate_secret(session, account)
        assert secrets.active_secrets(session, account) == [new, old]


def test_rotation_after_the_secret_key_was_lost_deletes_old_secrets(
    database: Database, secrets: WebhookSecrets, account: str
) -> None:
    other = WebhookSecrets(SecretBox(b"fedcba9876543210fedcba9876543210"))
    with database.write() as session:
        secrets.create_secret(session, account)
        secrets.rotate_secret(session, account)
        with pytest.raises(SettingsError, match="another secret key"):
            other.active_secrets(session, account)
        shown = other.rotate_secret(session, account)
        assert other.active_secrets(session, account) == [shown]
        assert rows(session) == 1


def test_missing_account_is_not_found(database: Database, secrets: WebhookSecrets) -> None:
    with database.write() as session:
        for make in (secrets.create_secret, secrets.rotate_secret):
            with pytest.raises(NotFound):
                make(session, "acc_x")
