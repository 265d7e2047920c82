"""Messages that accounts choose to get."""

from datetime import datetime, timedelta

import pytest

from stemsplitter.accounts.models import Account
from stemsplitter.clock import now
from stemsplitter.jobs.service import CANCELED
from stemsplitter.notices import service as module
from stemsplitter.notices.models import Notice
from stemsplitter.services import Services
from stemsplitter.settings import Settings
from tests.inbox import Inbox, inbox, smtp, texts, with_mail
from tests.services import services
from tests.services import settings as plain
from tests.splits.rows import new_split

__all__ = ["inbox", "plain", "services", "smtp"]

EMAIL = "someone@example.org"


@pytest.fixture
def settings(plain: Settings, smtp: str) -> Settings:
    return with_mail(plain, smtp)


@pytest.fixture
def account(services: Services) -> str:
    with services.database.write() as session:
        made = services.accounts.create_account(session, EMAIL)
        services.accounts.choose_messages(session, made.id, done=True, low_credits=True)
        return made.id


class Clock:
    """The time of the notices, which tests move on."""

    def __init__(self) -> None:
        self.later = timedelta()

    def __call__(self) -> datetime:
        return now() + self.later


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(module, "now", made)
    return made


def end(services: Services, account: str, name: str, code: str = "SERVER_ERROR", cost: int = 1) -> None:
    with services.database.write() as session:
        split = new_split(account, filename=name)
        session.add(split)
        services.credits.hold(session, account, split.id, cost)
        session.flush()
        services.splits.endings.fail(session, split.id, None, code, "It failed.")


def spend(services: Services, account: str, number: int, cost: int) -> None:
    with services.database.write() as session:
        services.credits.hold(session, account, f"split_{number}", cost)


def pending(services: Services) -> list[tuple[str, int]]:
    with services.database.read() as session:
        return [(each.kind, len(each.items)) for each in session.query(Notice) if each.due_at]


def test_ended_splits_are_reported_together_and_with_pauses(
    services: Services, account: str, inbox: Inbox, clock: Clock
) -> None:
    end(services, account, "first <b>.mp3")
    end(services, account, "second\r\nBcc: x@example.org.mp3")
    end(services, account, "canceled.mp3", CANCELED)
    assert services.notices.send_due() == 0  # it waits for more
    clock.later = module.GATHER
    assert services.notices.send_due() == 1
    ((to, message),) = inbox.messages
    assert to == [EMAIL] and message["Subject"] == "2 splits have ended" and message["Bcc"] is None
    text, html = texts(message)
    assert "first <b>.mp3 (failed)" in text and "first &lt;b&gt;.mp3" in html
    assert text.count("/splits/split_") == html.count("/splits/split_") == 2
    assert "canceled" not in text and "/account#messages" in text
    assert services.notices.send_due() == 0
    end(services, account, "third.mp3")
    clock.later += module.PAUSES["done"] - timedelta(seconds=1)
    assert services.notices.send_due() == 0
    clock.later += timedelta(seconds=2)
    assert services.notices.send_due() == 1
    assert inbox.messages[-1][1]["Subject"] == "Your split failed"
    assert pending(services) == []


def test_success_is_reported(services: Services, account: str, inbox: Inbox, clock: Clock) -> None:
    with services.database.write() as session:
        item = {"name": "a.mp3", "path": "/splits/split_1", "failed": False}
        module.add_done(session, services.settings, account, item)
    clock.later = module.GATHER
    assert services.notices.send_due() == 1
    assert inbox.messages[0][1]["Subject"] == "Your split is ready"


def test_message_is_in_the_language_of_the_account(
    services: Services, account: str, inbox: Inbox, clock: Clock
) -> None:
    with services.database.write() as session:
        services.accounts.set_language(session, account, "de")
    end(services, account, "Lied.mp3")
    clock.later = module.GATHER
    assert services.notices.send_due() == 1
    message = inbox.messages[0][1]
    text, html = texts(message)
    assert message["Subject"] == "Ihre Aufteilung ist fehlgeschlagen"
    assert "Lied.mp3 (fehlgeschlagen)" in text and '<html lang="de">' in html


def test_disabled_endpoint_is_reported_to_every_verified_address(
    services: Services, account: str, inbox: Inbox, clock: Clock
) -> None:
    with services.database.write() as session:
        services.accounts.choose_messages(session, account, done=False, low_credits=False)
        item = {"name": "https://example.com/hook", "path": "/developer/endpoints/whe_1", "failed": False}
        module.add_endpoint_disabled(session, services.settings, account, item)
    clock.later = module.GATHER
    assert services.notices.send_due() == 1
    message = inbox.messages[0][1]
    assert message["Subject"] == "A webhook endpoint was disabled"
    body = texts(message)[0]
    assert "https://example.com/hook" in body and "/developer/endpoints/whe_1" in body


def test_low_credits_are_reported_once_for_each_crossing(
    services: Services, account: str, inbox: Inbox, clock: Clock
) -> None:
    spend(services, account, 1, 300)
    assert pending(services) == []  # 300 are left
    spend(services, account, 2, 1)
    assert services.notices.send_due() == 1
    assert "299 credits" in texts(inbox.messages[0][1])[0]
    spend(services, account, 3, 1)
    clock.later = timedelta(days=2)
    assert services.notices.send_due() == 0  # the balance was low before
    with services.database.write() as session:
        services.credits.purchase(session, account, 100, "payment")
    spend(services, account, 4, 200)
    assert services.notices.send_due() == 1
    # a second crossing on the same day, and one that credits have undone meanwhile
    with services.database.write() as session:
        services.credits.purchase(session, account, 200, "payment 2")
    spend(services, account, 5, 200)
    assert services.notices.send_due() == 0
    clock.later += timedelta(days=2)
    with services.database.write() as session:
        services.credits.purchase(session, account, 200, "payment 3")
    spend(services, account, 6, 200)
    with services.database.write() as session:
        services.credits.purchase(session, account, 1000, "payment 4")
    assert services.notices.send_due() == 0 and pending(services) == []


def test_only_chosen_messages_to_verified_addresses_are_sent(
    services: Services, account: str, inbox: Inbox, clock: Clock
) -> None:
    def change(**values: object) -> None:
        with services.database.write() as session:
            found = session.get_one(Account, account)
            for name, value in values.items():
                setattr(found, name, value)

    change(mail_done=False, mail_low_credits=False)
    end(services, account, "a.mp3", cost=400)
    assert pending(services) == []
    change(mail_done=True, verified_at=None)
    end(services, account, "a.mp3")
    assert pending(services) == []
    change(verified_at=now())
    end(services, account, "a.mp3")
    assert pending(services) == [("done", 1)]
    change(mail_done=False)  # before it was sent
    clock.later = module.GATHER
    assert services.notices.send_due() == 0 and pending(services) == []
    assert inbox.messages == []


def test_failing_mail_server_is_tried_again_a_few_times(
    services: Services, account: str, inbox: Inbox, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    good = services.mail._settings
    services.mail._settings = good.model_copy(update={"smtp_url": "smtp://127.0.0.1:1"})
    end(services, account, "a.mp3")
    clock.later = module.GATHER
    assert services.notices.send_due() == 0 and pending(services) == [("done", 1)]
    services.mail._settings = good
    assert services.notices.send_due() == 0
    clock.later += module.RETRIES[0]
    assert services.notices.send_due() == 1
    services.mail._settings = good.model_copy(update={"smtp_url": "smtp://127.0.0.1:1"})
    end(services, account, "a.mp3")
    for _ in range(len(module.RETRIES) + 1):
        assert pending(services) == [("done", 1)]
        clock.later += timedelta(days=1)
        services.notices.send_due()
    assert pending(services) == [] and len(inbox.messages) == 1
    assert caplog.text.count("mail.failed") == len(module.RETRIES) + 2


def test_refused_recipient_is_not_tried_again(
    services: Services, account: str, inbox: Inbox, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(*_: object) -> str:
        return "550 no such user"

    monkeypatch.setattr(Inbox, "handle_RCPT", refuse, raising=False)
    end(services, account, "a.mp3")
    clock.later = module.GATHER
    assert services.notices.send_due() == 0
    assert pending(services) == [] and inbox.messages == []
