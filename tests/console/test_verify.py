"""Verification of addresses by mail."""

from datetime import timedelta

import pytest
from sqlalchemy import select

from stemsplitter.accounts import addresses
from stemsplitter.accounts.models import Account, AddressLink
from stemsplitter.clock import now
from stemsplitter.credits.models import LedgerEntry
from stemsplitter.services import Services
from stemsplitter.settings import Settings
from tests.inbox import Inbox, inbox, link, smtp, texts, with_mail

from .conftest import PASSWORD, Browser
from .test_pages import check

__all__ = ["inbox", "smtp"]

NEW = "new@example.org"


@pytest.fixture
def settings(settings: Settings, smtp: str) -> Settings:
    return with_mail(settings, smtp)


def sign_up(visitor: Browser, email: str) -> None:
    answer = visitor.post("/sign-up", data={"email": email, "password": PASSWORD})
    assert (answer.status_code, answer.headers["location"]) == (303, "/new")


def test_message_is_in_the_language_of_the_page(visitor: Browser, inbox: Inbox) -> None:
    visitor.headers["Accept-Language"] = "de"
    sign_up(visitor, NEW)
    message = inbox.messages[0][1]
    text, html = texts(message)
    assert message["Subject"] == "E-Mail-Adresse bestätigen"
    assert "Hier innerhalb eines Tages bestätigen:" in text and '<html lang="de">' in html
    assert link(message, "/verify/")


def account(services: Services, email: str) -> Account:
    with services.database.read() as session:
        return services.accounts.find_account(session, email)


def grants(services: Services) -> list[int]:
    with services.database.read() as session:
        assert services.credits.audit(session) == []
        return [entry.amount for entry in session.scalars(select(LedgerEntry))]


def test_m3_free_credits_are_granted_once_the_address_is_verified(
    visitor: Browser, browser: Browser, inbox: Inbox, services: Services, account_id: str
) -> None:
    assert grants(services) == [600]  # of the account of ``browser``, which an operator has created
    assert "Confirm your address" not in browser.get("/splits").text
    sign_up(visitor, f" {NEW.upper()} ")
    assert account(services, NEW).balance == 0
    assert "Confirm your address" in visitor.get("/splits").text
    ((to, message),) = inbox.messages
    assert to == [NEW]
    path = link(message, "/verify/")
    with services.database.read() as session:
        (stored,) = session.scalars(select(AddressLink))
    assert path.rpartition("/")[2] not in (stored.token_hash, stored.email)
    # opening the link, as programs that scan messages do, does not use it
    check(visitor, path)
    assert account(services, NEW).verified_at is None
    # the link works in a browser without the session, and shows no session
    other = Browser(visitor.app)  # type: ignore[arg-type]
    assert "free credits" in other.post(path).text
    assert account(services, NEW).balance == 600 and grants(services) == [600, 600]
    assert other.post(path).status_code == 401 and other.get(path).status_code == 401
    assert grants(services) == [600, 600]
    assert "Confirm your address" not in visitor.get("/splits").text
    assert visitor.post("/account/verify", data={"csrf": visitor.csrf}).status_code == 404


def test_m3_address_has_free_credits_once_in_all_accounts(
    visitor: Browser, inbox: Inbox, services: Services
) -> None:
    for number in range(3):
        visitor.cookies.clear()
        sign_up(visitor, f"some+{number}@example.org")
        visitor.cookies.clear()
        assert visitor.post(link(inbox.messages[-1][1], "/verify/")).status_code == 200
        assert account(services, f"some+{number}@example.org").verified_at is not None
    assert grants(services) == [600]


def test_new_link_replaces_the_previous_one_and_expires(
    visitor: Browser, inbox: Inbox, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    sign_up(visitor, NEW)
    answer = visitor.post("/account/verify", data={"csrf": visitor.csrf})
    assert answer.headers["location"] == "/account?done=sent"
    first, second = (link(message, "/verify/") for _, message in inbox.messages)
    assert visitor.get(first).status_code == 401 and visitor.get(second).status_code == 200
    monkeypatch.setattr(addresses, "now", lambda: now() + addresses.LINK_LIFETIME + timedelta(seconds=1))
    assert visitor.get(second).status_code == 401
    assert visitor.post(second, data={"csrf": visitor.csrf}).status_code == 401
    with services.database.write() as session:
        services.address_proofs.delete_expired(session)
        assert session.scalars(select(AddressLink)).all() == []


def test_links_of_one_account_are_limited(visitor: Browser, inbox: Inbox) -> None:
    sign_up(visitor, NEW)
    csrf = visitor.csrf
    for _ in range(4):
        assert visitor.post("/account/verify", data={"csrf": csrf}).status_code == 303
    refused = visitor.post("/account/verify", data={"csrf": csrf})
    assert refused.status_code == 429 and len(inbox.messages) == 5
    assert "per hour" in refused.text


def test_changed_address_is_that_of_the_account_once_it_is_verified(
    visitor: Browser, browser: Browser, inbox: Inbox, services: Services, account_id: str
) -> None:
    fields = {"csrf": browser.csrf, "email": NEW, "email-current": PASSWORD}
    assert browser.post("/account/email", data=fields).headers["location"] == "/account?done=new-address"
    ((to, message),) = inbox.messages
    assert to == [NEW]
    assert NEW not in browser.get("/account").text
    # somebody else signs up with the address first
    path = link(message, "/verify/")
    sign_up(visitor, NEW)
    assert browser.post(path, data={"csrf": browser.csrf}).status_code == 409
    fields["email"] = "newer@example.org"
    browser.post("/account/email", data=fields)
    browser.post(link(inbox.messages[-1][1], "/verify/"), data={"csrf": browser.csrf})
    assert "newer@example.org" in browser.get("/account").text
    assert account(services, account_id).balance == 600  # the account had free credits


def test_account_chooses_its_messages(browser: Browser, services: Services, account_id: str) -> None:
    def chosen() -> tuple[bool, bool]:
        found = account(services, account_id)
        return found.mail_done, found.mail_low_credits

    assert chosen() == (False, True)
    for fields in ({"done": "1"}, {"low_credits": "1"}, {}):
        answer = browser.post("/account/messages", data={"csrf": browser.csrf, **fields})
        assert answer.headers["location"] == "/account?done=messages"
        assert chosen() == ("done" in fields, "low_credits" in fields)


class TestWithoutMail:
    @pytest.fixture
    def settings(self, settings: Settings) -> Settings:
        return settings.model_copy(update={"smtp_url": ""})

    def test_m3_new_account_has_the_free_credits(self, visitor: Browser, services: Services) -> None:
        sign_up(visitor, NEW)
        assert account(services, NEW).balance == 600
        assert "Confirm your address" not in visitor.get("/splits").text
        assert visitor.post("/account/verify", data={"csrf": visitor.csrf}).status_code == 404
