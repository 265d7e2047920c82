"""Mail, sent through the SMTP server of the settings."""

import logging
import ssl
from email.message import EmailMessage
from email.utils import formatdate, make_msgid
from urllib.parse import unquote, urlsplit

import aiosmtplib

from stemsplitter.settings import Settings

TIMEOUT_S = 30.0

_log = logging.getLogger(__name__)


class Mailer:
    """Sends messages from the operator's address."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    @property
    def enabled(self) -> bool:
        """True if the settings have an SMTP server."""
        return bool(self._settings.smtp_url)

    async def send(self, to: str, subject: str, text: str, html: str) -> None:
        """Send a message, as text and as HTML. A failure is logged, as nobody waits for the message."""
        server = urlsplit(self._settings.smtp_url)
        message = EmailMessage()
        message["From"], message["To"], message["Subject"] = self._settings.mail_from, to, subject
        message["Date"], message["Message-ID"] = formatdate(), make_msgid(domain=server.hostname)
        message["Auto-Submitted"] = "auto-generated"
        message.set_content(text)
        message.add_alternative(html, subtype="html")
        try:
            await aiosmtplib.send(
                message,
                hostname=server.hostname,
                port=server.port,
                username=unquote(server.username) if server.username else None,
                password=unquote(server.password) if server.password else None,
                use_tls=server.scheme == "smtps",
                # a password is sent over TLS only; without one, TLS is used if the server has it
                start_tls=True if server.scheme == "smtp" and server.username else None,
                timeout=TIMEOUT_S,
            )
        except (aiosmtplib.SMTPException, OSError, ssl.SSLError) as error:
            _log.error("mail.failed: %s", error)
