"""Mail, sent through the SMTP server of the settings."""

import asyncio
import logging
import ssl
from email.message import EmailMessage
from email.utils import formatdate, make_msgid
from urllib.parse import unquote, urlsplit

import aiosmtplib

from stemsplitter.errors import StemSplitterError
from stemsplitter.settings import Settings

TIMEOUT_S = 30.0
PAUSES_S = (5.0, 30.0)  # before the second and the third attempt
MAX_SENDING = 100  # messages that a process sends at once, or waits to send again

_log = logging.getLogger(__name__)


class MailFailed(StemSplitterError):
    """The message was not accepted. ``is_final``: the server refuses it, so that another attempt is of no use."""

    def __init__(self, error: Exception) -> None:
        super().__init__(str(error))
        refused = error.recipients if isinstance(error, aiosmtplib.SMTPRecipientsRefused) else [error]
        codes = [each.code for each in refused if isinstance(each, aiosmtplib.SMTPResponseException)]
        self.is_final = any(code >= 500 for code in codes)


class Mailer:
    """Sends messages from the operator's address."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._sending = 0

    @property
    def enabled(self) -> bool:
        """True if the settings have an SMTP server."""
        return bool(self._settings.smtp_url)

    async def send(self, to: str, subject: str, text: str, html: str) -> None:
        """Send a message that is not stored, in at most three attempts. A failure is logged, as nobody waits for it."""
        if self._sending >= MAX_SENDING:
            _log.error("mail.failed: %d messages are being sent", MAX_SENDING)
            return
        self._sending += 1
        try:
            for pause in (*PAUSES_S, None):
                try:
                    await self.deliver(to, subject, text, html)
                    return
                except MailFailed as error:
                    _log.error("mail.failed: %s", error)
                    if error.is_final or pause is None:
                        return
                    await asyncio.sleep(pause)
        finally:
            self._sending -= 1

    async def deliver(self, to: str, subject: str, text: str, html: str) -> None:
        """Send a message, as text and as HTML, in one attempt. Raises MailFailed."""
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
            raise MailFailed(error) from error
