"""Sign-up, sign-in, sign-out, passwords and sign-in links."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from stemsplitter.clock import now
from stemsplitter.console import account
from stemsplitter.console.cookies import COOKIE
from stemsplitter.processes.first_account import sign_in_link
from stemsplitter.rate_limits.service import DAY_S, Policy
from stemsplitter.services import Services
from stemsplitter.sessions import service as sessions
from stemsplitter.settings import Settings

from .conftest import EMAIL, FROM_HERE, PASSWORD, Browser

NEW = {"email": "New@Example.org", "password": "a long password"}


def test_sign_up_sign_out_and_sign_in(visitor: Browser) -> None:
    made = visitor.post("/sign-up", data=NEW)
    assert (made.status_code, made.headers["location"]) == (303, "/new")
    cookie = made.headers["set-cookie"]
    assert all(part in cookie for part in ("HttpOnly", "SameSite=lax", "Path=/", "Max-Age=2592000"))
    assert "Secure" not in cookie
    assert "new@example.org" in visitor.get("/account").text
    out = visitor.post("/sign-out", data={"csrf": visitor.csrf})
    assert (out.status_code, out.headers["location"]) == (303, "/")
    assert visitor.get("/account").headers["location"] == "/sign-in?next=%2Faccount"
    back = visitor.post("/sign-in", data={**NEW, "next": "/account?a=1"})
    assert (back.status_code, back.headers["location"]) == (303, "/account?a=1")
    assert visitor.get("/account").status_code == 200


def test_next_page_is_kept_through_sign_up(visitor: Browser) -> None:
    assert 'href="/sign-up?next=/account%3Fa%3D1"' in visitor.get("/sign-in?next=/account%3Fa=1").text
    assert 'value="/account?a=1"' in visitor.get("/sign-up?next=/account%3Fa%3D1").text
    made = visitor.post("/sign-up", data={**NEW, "next": "/account?a=1"})
    assert made.headers["location"] == "/account?a=1"
    assert visitor.get("/sign-up?next=//evil.example").headers["location"] == "/new"


def test_sign_out_ends_session_on_server(browser: Browser) -> None:
    token = browser.cookies[COOKIE]
    browser.post("/sign-out", data={"csrf": browser.csrf})
    browser.cookies.set(COOKIE, token, domain="testserver.local", path="/")
    assert browser.get("/account").status_code == 303


def test_sign_in_replaces_previous_session(browser: Browser, services: Services) -> None:
    before = browser.cookies[COOKIE]
    form = {"email": EMAIL, "password": PASSWORD, "csrf": browser.csrf}
    assert browser.post("/sign-in", data=form).status_code == 303
    assert browser.cookies[COOKIE] != before
    assert services.sessions.find(before) is None


@pytest.mark.parametrize(
    "form", [{"email": EMAIL, "password": "wrong password"}, {"email": "x@y.org", "password": PASSWORD}]
)
@pytest.mark.usefixtures("account_id")
def test_wrong_password_and_unknown_address_get_same_error(visitor: Browser, form: dict[str, str]) -> None:
    answer = visitor.post("/sign-in", data=form)
    assert answer.status_code == 401
    assert "Wrong email address or password." in answer.text and form["email"] in answer.text
    assert form["password"] not in answer.text and COOKIE not in visitor.cookies


def test_sign_in_is_limited_per_account_and_address(visitor: Browser, account_id: str) -> None:
    wrong = {"email": EMAIL.upper(), "password": "wrong password"}
    for _ in range(account.FROM_ADDRESS_TO_ACCOUNT.limit):
        assert visitor.post("/sign-in", data=wrong).status_code == 401
    answer = visitor.post("/sign-in", data={"email": EMAIL, "password": PASSWORD})
    assert answer.status_code == 429
    assert "Rate limit exceeded: 10 sign-in to one account requests per minute. Retry in " in answer.text
    assert visitor.post("/sign-in", data={**wrong, "email": "other@example.org"}).status_code == 401


def test_m6_wrong_passwords_from_elsewhere_do_not_lock_the_owner_out(
    visitor: Browser, account_id: str, app: FastAPI, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong = {"email": EMAIL, "password": "wrong password"}
    right = {"email": EMAIL, "password": PASSWORD}
    assert visitor.post("/sign-in", data=right).status_code == 303
    visitor.post("/sign-out", data={"csrf": visitor.csrf})
    monkeypatch.setattr(account, "TO_ACCOUNT", Policy("sign-in from new browsers", 6))
    for number in range(6):
        stranger = TestClient(
            app,
            headers={"Accept": "text/html", **FROM_HERE},
            client=(f"192.0.2.{number}", 1),
            follow_redirects=False,
        )
        assert stranger.post("/sign-in", data=wrong).status_code == (401 if number < 5 else 429)
    assert stranger.post("/sign-in", data=right).status_code == 429
    assert visitor.post("/sign-in", data=right).status_code == 303


@pytest.mark.usefixtures("account_id")
def test_m6_a_forged_mark_does_not_make_a_browser_known(
    visitor: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(account, "TO_ACCOUNT", Policy("sign-in from new browsers", 1))
    visitor.cookies.set(account.KNOWN_BROWSER, "0" * 64)
    statuses = [
        visitor.post("/sign-in", data={"email": EMAIL, "password": "wrong password"}).status_code
        for _ in range(2)
    ]
    assert statuses == [401, 429]


def test_sign_in_is_limited_per_client_address(visitor: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(account, "FROM_ADDRESS", Policy("sign-in", 2))
    for number in range(2):
        assert visitor.post("/sign-in", data={"email": f"{number}@b", "password": "x"}).status_code == 401
    assert visitor.post("/sign-in", data={"email": "3@b", "password": "x"}).status_code == 429
    assert visitor.post("/sign-up", data=NEW).status_code == 429


def test_m3_sign_ups_are_limited_per_day_and_network(app: FastAPI, services: Services) -> None:
    limit = services.settings.signups_per_day

    def sign_up(address: str, number: int) -> int:
        client = TestClient(
            app, headers={"Accept": "text/html", **FROM_HERE}, client=(address, 1), follow_redirects=False
        )
        data = {"email": f"{number}@example.org", "password": "a long password"}
        return client.post("/sign-up", data=data).status_code

    for number in range(limit):
        services.rate_limits.count(
            f"2001:db8:1:2::{number}", Policy("sign-up", limit, DAY_S)
        )  # other buckets
        services.rate_limits.count("2001:db8:1:2::/64", Policy("sign-up", limit, DAY_S))
    assert sign_up("2001:db8:1:2:3:4:5:6", 1) == 429
    assert sign_up("2001:db8:1:3::1", 2) == 303
    # and of a network that one customer can have
    of_network = Policy("sign-up from one network", 5 * limit, DAY_S)
    for _ in range(5 * limit - 1):
        services.rate_limits.count("192.0.2.0/24", of_network)
    assert [sign_up("192.0.2.1", 3), sign_up("192.0.2.200", 4), sign_up("192.0.3.1", 5)] == [303, 429, 303]


@pytest.mark.parametrize(
    ("form", "status", "told"),
    [
        ({"email": "nobody", "password": "a long password"}, 422, "is not an email address"),
        ({"email": "a@b.org", "password": "short"}, 422, "The password has 5 characters: use 10 to 1000."),
        ({"email": EMAIL, "password": "a long password"}, 409, f"An account with the address {EMAIL} exists"),
        ({"email": "<b>@b.org\u202e", "password": "a long password"}, 422, "&lt;b&gt;@b.org"),
    ],
)
@pytest.mark.usefixtures("account_id")
def test_invalid_sign_up_is_rejected(visitor: Browser, form: dict[str, str], status: int, told: str) -> None:
    answer = visitor.post("/sign-up", data=form)
    assert answer.status_code == status and told in answer.text
    assert form["password"] not in answer.text and "<b>@" not in answer.text


def test_disabled_account_is_signed_out(browser: Browser, services: Services, account_id: str) -> None:
    with services.database.write() as session:
        services.accounts.disable_account(session, account_id)
    assert browser.get("/account").status_code == 303


def test_session_expires(browser: Browser, services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sessions, "now", lambda: now() + sessions.LIFETIME + timedelta(seconds=1))
    assert browser.get("/account").status_code == 303
    services.sessions.delete_expired()
    monkeypatch.undo()
    assert browser.get("/account").status_code == 303


def test_last_seen_is_updated(browser: Browser, services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    token, later = browser.cookies[COOKIE], now() + timedelta(minutes=11)
    monkeypatch.setattr(sessions, "now", lambda: later)
    services.sessions.find(token)
    assert services.sessions.uses.wait(60)
    found = services.sessions.find(token)
    assert found is not None and found.session.last_seen_at == later > found.session.created_at


def test_password_change_ends_other_sessions(
    browser: Browser, visitor: Browser, services: Services, account_id: str
) -> None:
    visitor.post("/sign-in", data={"email": EMAIL, "password": PASSWORD})
    link = sign_in_link(services, account_id).removeprefix(services.settings.base_url)
    form = {"csrf": browser.csrf, "current": PASSWORD, "new": "battery staple"}
    answer = browser.post("/account/password", data=form)
    assert (answer.status_code, answer.headers["location"]) == (303, "/account?done=password")
    assert "Password changed." in browser.get("/account?done=password").text
    assert visitor.get("/account").status_code == 303
    assert visitor.get(link).status_code == 401
    assert visitor.post("/sign-in", data={"email": EMAIL, "password": PASSWORD}).status_code == 401
    assert visitor.post("/sign-in", data={"email": EMAIL, "password": "battery staple"}).status_code == 303


@pytest.mark.parametrize(
    ("form", "told"),
    [
        ({"current": "wrong", "new": "battery staple"}, "The current password is wrong"),
        ({"new": "battery staple"}, "The current password is wrong"),
        ({"current": PASSWORD, "new": "short"}, "The password has 5 characters"),
    ],
)
def test_invalid_password_change_is_rejected(browser: Browser, form: dict[str, str], told: str) -> None:
    answer = browser.post("/account/password", data={"csrf": browser.csrf, **form})
    assert answer.status_code == 422 and told in answer.text


def test_email_address_is_changed(browser: Browser, services: Services) -> None:
    with services.database.write() as session:
        services.accounts.create_account(session, "taken@example.org")
    form = {"csrf": browser.csrf, "email": "Other@Example.org", "email-current": PASSWORD}
    assert browser.post("/account/email", data={**form, "email-current": "no"}).status_code == 422
    assert browser.post("/account/email", data={**form, "email": "taken@example.org"}).status_code == 409
    assert browser.post("/account/email", data=form).headers["location"] == "/account?done=email"
    assert "other@example.org" in browser.get("/account").text


class TestLinks:
    """One-time sign-in links."""

    @pytest.fixture
    def owner_id(self, services: Services) -> str:
        with services.database.write() as session:
            return services.accounts.create_account(session, "owner@example.com").id

    @pytest.fixture
    def path(self, services: Services, owner_id: str) -> str:
        url = sign_in_link(services, owner_id)
        base = services.settings.base_url
        assert url.startswith(base)
        return url.removeprefix(base)

    def test_link_works_once(self, path: str, browsers: Callable[[], Browser]) -> None:
        first, second = browsers(), browsers()
        for _ in range(2):  # opening the link does not use it
            assert "owner@example.com" in first.get(path).text
        assert first.post(path).headers["location"] == "/account"
        for again in (second.get(path), second.post(path)):
            assert again.status_code == 401 and "ask for a new one" in again.text
        form = {"csrf": first.csrf, "new": "a password at last"}
        assert first.post("/account/password", data=form).status_code == 303
        form = {"email": "owner@example.com", "password": "a password at last"}
        assert second.post("/sign-in", data=form).status_code == 303

    def test_link_replaces_existing_session(self, path: str, browser: Browser, services: Services) -> None:
        before, token = browser.cookies[COOKIE], browser.csrf
        assert browser.post(path).status_code == 403
        assert browser.post(path, data={"csrf": token}).status_code == 303
        assert "owner@example.com" in browser.get("/account").text
        assert services.sessions.find(before) is None

    def test_link_expires_after_an_hour(
        self, path: str, visitor: Browser, services: Services, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(sessions, "now", lambda: now() + sessions.LINK_LIFETIME)
        assert visitor.get(path).status_code == visitor.post(path).status_code == 401
        services.sessions.delete_expired()
        monkeypatch.undo()
        assert visitor.post(path).status_code == 401

    def test_cross_site_use_is_rejected(self, path: str, visitor: Browser) -> None:
        assert visitor.post(path, headers={"Origin": "https://evil.example"}).status_code == 403
        assert visitor.post(path).status_code == 303


class TestClosed:
    """Server with closed sign-up."""

    @pytest.fixture
    def settings(self, settings: Settings) -> Settings:
        return settings.model_copy(update={"signup_open": False, "public_url": "https://stems.example.org"})

    def test_sign_up_is_closed(self, visitor: Browser) -> None:
        assert "/sign-up" not in visitor.get("/sign-in").text
        assert "Sign-up is closed on this server" in visitor.get("/sign-up").text
        answer = visitor.post("/sign-up", data=NEW)
        assert answer.status_code == 409 and COOKIE not in visitor.cookies

    @pytest.mark.usefixtures("account_id")
    def test_cookie_is_secure_over_https(self, visitor: Browser) -> None:
        answer = visitor.post("/sign-in", data={"email": EMAIL, "password": PASSWORD})
        assert "Secure" in answer.headers["set-cookie"]
