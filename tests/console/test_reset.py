"""A new password by mail."""

import pytest

from stemsplitter import mail
from stemsplitter.services import Services
from stemsplitter.settings import Settings
from tests.inbox import FROM, Inbox, inbox, link, smtp, with_mail

from .conftest import EMAIL, PASSWORD, Browser
from .test_pages import check

__all__ = ["inbox", "smtp"]

NEW = "another good password"


@pytest.fixture
def settings(settings: Settings, smtp: str) -> Settings:
    return with_mail(settings, smtp)


def asked(visitor: Browser, email: str) -> str:
    answer = visitor.post("/reset", data={"email": email})
    assert answer.status_code == 200
    return answer.text


@pytest.mark.usefixtures("account_id")
def test_link_sets_a_new_password_once(visitor: Browser, browser: Browser, inbox: Inbox) -> None:
    check(visitor, "/reset")
    asked(visitor, f" {EMAIL.upper()} ")
    ((to, message),) = inbox.messages
    assert to == [EMAIL] and message["From"] == FROM
    path = link(message, "/reset/")
    check(visitor, path)
    assert visitor.post(path, data={"new": "short"}).status_code == 422
    answer = visitor.post(path, data={"new": NEW})
    assert (answer.status_code, answer.headers["location"]) == (303, "/account?done=password")
    assert visitor.get("/account").status_code == 200
    # the other sessions have ended, and the link is used
    assert browser.get("/account").status_code == 303
    assert browser.get(path).status_code == 401
    for password, status in ((PASSWORD, 401), (NEW, 303)):
        assert browser.post("/sign-in", data={"email": EMAIL, "password": password}).status_code == status


def test_answer_does_not_disclose_accounts(
    visitor: Browser, inbox: Inbox, services: Services, account_id: str
) -> None:
    known, unknown = asked(visitor, EMAIL), asked(visitor, "nobody@example.org")
    assert known == unknown and len(inbox.messages) == 1
    with services.database.write() as session:
        services.accounts.disable_account(session, account_id)
    asked(visitor, EMAIL)
    assert len(inbox.messages) == 1


@pytest.mark.usefixtures("account_id")
def test_links_of_one_account_are_limited(visitor: Browser, inbox: Inbox) -> None:
    for _ in range(3):
        asked(visitor, EMAIL)
    refused = visitor.post("/reset", data={"email": EMAIL})
    assert refused.status_code == 429 and len(inbox.messages) == 3


@pytest.mark.usefixtures("account_id")
def test_unreachable_mail_server_is_logged(
    services: Services,
    visitor: Browser,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(mail, "PAUSES_S", (0.0, 0.0))
    services.mail._settings = services.settings.model_copy(update={"smtp_url": "smtp://127.0.0.1:1"})
    asked(visitor, EMAIL)
    assert caplog.text.count("mail.failed") == 3


class TestWithoutMail:
    @pytest.fixture
    def settings(self, settings: Settings) -> Settings:
        return settings.model_copy(update={"smtp_url": ""})

    def test_page_says_how_the_operator_helps(self, visitor: Browser) -> None:
        assert "accounts sign-in-link" in visitor.get("/reset").text
        assert visitor.post("/reset", data={"email": EMAIL}).status_code == 404


@pytest.mark.parametrize(
    "values",
    [
        {"smtp_url": "mail.example.org", "mail_from": "a@b.example"},
        {"smtp_url": "smtp://mail.example.org/path", "mail_from": "a@b.example"},
        {"smtp_url": "smtp://mail.example.org"},
    ],
)
def test_invalid_mail_settings_are_refused(values: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="must be"):
        Settings.model_validate(values)
