"""An SMTP server that keeps its messages. Import the fixtures to use them."""

import re
from collections.abc import Iterator
from email import message_from_bytes, policy
from email.message import EmailMessage

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from stemsplitter.settings import Settings
from tests.acceptance.processes import free_port

FROM = "Stems <stems@example.org>"


class Inbox:
    """An SMTP server that keeps the messages."""

    def __init__(self) -> None:
        self.messages: list[tuple[list[str], EmailMessage]] = []

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        assert isinstance(envelope.content, bytes)
        message = message_from_bytes(envelope.content, policy=policy.default)
        self.messages.append((list(envelope.rcpt_tos), message))
        return "250 OK"


@pytest.fixture
def inbox() -> Inbox:
    return Inbox()


@pytest.fixture
def smtp(inbox: Inbox) -> Iterator[str]:
    port = free_port()
    controller = Controller(inbox, hostname="127.0.0.1", port=port)
    controller.start()
    yield f"smtp://127.0.0.1:{port}"
    controller.stop()


def with_mail(settings: Settings, smtp: str) -> Settings:
    return settings.model_copy(update={"smtp_url": smtp, "mail_from": FROM})


def texts(message: EmailMessage) -> tuple[str, str]:
    """Return the plain text and the HTML of a message."""
    text, html = (message.get_body((kind,)) for kind in ("plain", "html"))
    assert text is not None and html is not None
    return text.get_content(), html.get_content()


def link(message: EmailMessage, start: str) -> str:
    """Return the path of the link, which begins with ``start``, in both texts of a message."""
    text, html = texts(message)
    (path,) = re.findall(rf"http://\S+?({start}\S+)", text)
    assert path in html
    return str(path)
