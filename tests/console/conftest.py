"""A server in this process, and clients for its pages."""

import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from html import unescape
from pathlib import Path

import pytest
from argon2 import PasswordHasher
from fastapi import FastAPI
from fastapi.testclient import TestClient

from stemsplitter.accounts import passwords
from stemsplitter.console.cookies import COOKIE
from stemsplitter.processes.app import create_app
from stemsplitter.services import Services
from tests.acceptance.songs import encode, sung
from tests.services import files_are_made, services, settings

__all__ = ["files_are_made", "services", "settings"]

EMAIL, PASSWORD = "someone@example.org", "correct horse"
CHEAP = PasswordHasher(
    time_cost=1, memory_cost=8, parallelism=1
)  # fast; the real cost is tested in tests/accounts
PASSWORD_HASH = CHEAP.hash(PASSWORD)
FROM_HERE = {"Origin": "http://testserver"}


@pytest.fixture(autouse=True)
def _cheap_passwords(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    passwords._dummy_hash.cache_clear()
    monkeypatch.setattr(passwords, "_hasher", CHEAP)
    yield
    passwords._dummy_hash.cache_clear()


class Browser(TestClient):
    """A client that requests pages, keeps cookies, sends an Origin header and follows no redirects."""

    def __init__(self, app: FastAPI) -> None:
        super().__init__(
            app,
            headers={"Accept": "text/html", **FROM_HERE},
            follow_redirects=False,
            raise_server_exceptions=False,
        )

    @property
    def csrf(self) -> str:
        """The CSRF token of the session, read from a page."""
        found = re.search(r'<meta name="csrf" content="([^"]+)">', self.get("/account").text)
        return unescape(found[1]) if found else ""


@pytest.fixture(scope="session")
def song(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A FLAC file of 1.1 seconds."""
    path: Path = encode(tmp_path_factory.mktemp("song") / "Lied.flac", sung(50_000), 44_100, "flac")
    return path.read_bytes()


@pytest.fixture
def app(services: Services) -> FastAPI:
    return create_app(services)


@pytest.fixture
def browsers(app: FastAPI) -> Iterator[Callable[[], Browser]]:
    """A factory of browsers without a session."""
    with ExitStack() as stack:
        yield lambda: stack.enter_context(Browser(app))


@pytest.fixture
def visitor(browsers: Callable[[], Browser]) -> Browser:
    """A browser without a session."""
    return browsers()


@pytest.fixture
def account_id(services: Services) -> str:
    with services.database.write() as session:
        return services.accounts.create_account(session, EMAIL, PASSWORD_HASH).id


@pytest.fixture
def browser(services: Services, browsers: Callable[[], Browser], account_id: str) -> Browser:
    """A browser with a session of the account."""
    return sign_in(services, browsers(), account_id)


def sign_in(services: Services, browser: Browser, account_id: str) -> Browser:
    """Add a session of the account to the browser."""
    with services.database.write() as session:
        token = services.sessions.begin(session, account_id)
    browser.cookies.set(COOKIE, token, domain="testserver.local", path="/")
    return browser
