from datetime import timedelta

import pytest
from sqlalchemy import func, select

from stemsplitter.accounts.models import Account
from stemsplitter.clock import now
from stemsplitter.database import Database
from stemsplitter.service_errors import Unauthorized
from stemsplitter.sessions import service as module
from stemsplitter.sessions.models import BrowserSession, SignInLink
from stemsplitter.sessions.service import LIFETIME, LINK_LIFETIME, USE_INTERVAL, SessionService


@pytest.fixture
def sessions(database: Database) -> SessionService:
    return SessionService(database)


@pytest.fixture
def account_id(database: Database) -> str:
    with database.write() as session:
        account = Account(email="song@example.com")
        session.add(account)
        session.flush()
        return account.id


def begin(database: Database, sessions: SessionService, account_id: str) -> str:
    with database.write() as session:
        return sessions.begin(session, account_id)


def move_clock(monkeypatch: pytest.MonkeyPatch, by: timedelta) -> None:
    at = now() + by
    monkeypatch.setattr(module, "now", lambda: at)


def test_token_finds_its_session_and_is_stored_as_a_hash(
    database: Database, sessions: SessionService, account_id: str
) -> None:
    token = begin(database, sessions, account_id)
    found = sessions.find(token)
    assert found is not None and found.account.id == account_id
    assert token not in str(vars(found.session))
    assert sessions.find(token + "x") is None and sessions.find(found.session.token_hash) is None


def test_session_expires_and_is_deleted(
    database: Database, sessions: SessionService, account_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = begin(database, sessions, account_id)
    move_clock(monkeypatch, LIFETIME + timedelta(seconds=1))
    assert sessions.find(token) is None
    sessions.delete_expired()
    with database.read() as session:
        assert session.scalar(select(func.count()).select_from(BrowserSession)) == 0


def test_session_of_a_disabled_account_is_not_found(
    database: Database, sessions: SessionService, account_id: str
) -> None:
    token = begin(database, sessions, account_id)
    with database.write() as session:
        account = session.get(Account, account_id)
        assert account is not None
        account.disabled_at = now()
    assert sessions.find(token) is None


def test_use_is_recorded_at_most_every_ten_minutes(
    database: Database, sessions: SessionService, account_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = begin(database, sessions, account_id)
    seen = []
    for by in (timedelta(), USE_INTERVAL / 2, USE_INTERVAL * 1.5):
        with monkeypatch.context() as patched:
            move_clock(patched, by)
            assert sessions.find(token)
        assert sessions.uses.wait(60)
        with database.read() as session:
            seen.append(session.scalar(select(BrowserSession.last_seen_at)))
    assert seen[0] == seen[1] != seen[2]


def test_other_sessions_and_links_end_but_the_current_one_stays(
    database: Database, sessions: SessionService, account_id: str
) -> None:
    kept, other = (begin(database, sessions, account_id) for _ in range(2))
    current = sessions.find(kept)
    assert current is not None
    with database.write() as session:
        sessions.make_link(session, account_id)
        sessions.end_others(session, current)
        assert session.scalar(select(func.count()).select_from(SignInLink)) == 0
    assert sessions.find(kept) and sessions.find(other) is None
    with database.write() as session:
        sessions.end_all(session, account_id)
    assert sessions.find(kept) is None


def test_link_signs_in_once(database: Database, sessions: SessionService, account_id: str) -> None:
    with database.write() as session:
        link = sessions.make_link(session, account_id)
        assert sessions.link_owner(session, link).id == account_id
        found = sessions.use_link(session, link)
        with pytest.raises(Unauthorized, match="ask for a new one"):
            sessions.use_link(session, link)
    assert sessions.find(found)


def test_link_expires(
    database: Database, sessions: SessionService, account_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with database.write() as session:
        link = sessions.make_link(session, account_id)
        move_clock(monkeypatch, LINK_LIFETIME)
        with pytest.raises(Unauthorized, match="has expired"):
            sessions.link_owner(session, link)
