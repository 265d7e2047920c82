"""Notices: collected in the transaction of what they report, and sent later by the leader of the workers."""

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from stemsplitter.accounts.models import Account
from stemsplitter.clock import now
from stemsplitter.database import Database
from stemsplitter.database.best_effort import BestEffort
from stemsplitter.languages import SOURCE
from stemsplitter.mail import Mailer, MailFailed
from stemsplitter.notices.messages import Message, message
from stemsplitter.notices.models import DONE, ENDPOINT, LOW_CREDITS, Notice
from stemsplitter.settings import Settings

GATHER = timedelta(seconds=20)  # a message waits for splits that end soon after the first
PAUSES = {
    DONE: timedelta(minutes=10),
    LOW_CREDITS: timedelta(days=1),
    ENDPOINT: timedelta(minutes=10),
}  # between two messages to an account
RETRIES = (timedelta(minutes=1), timedelta(minutes=10), timedelta(hours=1), timedelta(hours=6))
LEASE = timedelta(minutes=5)  # an attempt takes less
MAX_ITEMS = 200
SENDING_S = 30.0  # of a run of :meth:`Notices.send_due`

_log = logging.getLogger(__name__)


def add_done(session: Session, settings: Settings, account_id: str, item: dict[str, Any]) -> None:
    """Report that a split has ended, if the account chose that. Its ledger is locked by the caller."""
    _add_item(session, settings, account_id, DONE, item)


def add_endpoint_disabled(
    session: Session, settings: Settings, account_id: str, item: dict[str, Any]
) -> None:
    """Report that a webhook endpoint was disabled because it failed for long."""
    _add_item(session, settings, account_id, ENDPOINT, item)


def add_low_credits(session: Session, settings: Settings, account_id: str) -> None:
    """Report that the balance fell below the limit, at most once a day, if the account chose that. Its ledger is locked
    by the caller."""
    if _gets(session, settings, account_id, LOW_CREDITS):
        notice = _notice(session, account_id, LOW_CREDITS)
        if notice.sent_at is None or notice.sent_at + PAUSES[LOW_CREDITS] <= now():
            notice.due_at = notice.due_at or now()


@dataclass(frozen=True)
class _Claimed:
    account_id: str
    kind: str
    items: int
    attempts: int
    to: str
    message: Message


class Notices:
    """Sends notices.

    Args:
        is_low: whether a balance is still below the limit.
    """

    def __init__(
        self, database: Database, settings: Settings, mail: Mailer, is_low: Callable[[int], bool]
    ) -> None:
        self._database, self._settings, self._mail, self._is_low = database, settings, mail, is_low
        self.sending = BestEffort()

    def send_due_later(self) -> None:
        """Send the due notices without waiting for the mail server."""
        if self._mail.enabled:
            self.sending.run(self.send_due)

    def send_due(self) -> int:
        """Send the due notices for about half a minute, until the mail server fails. Returns the number sent."""
        ends, sent = time.monotonic() + SENDING_S, 0
        while time.monotonic() < ends and (claimed := self._claim()):
            try:
                asyncio.run(
                    self._mail.deliver(
                        claimed.to, claimed.message.subject, claimed.message.text, claimed.message.html
                    )
                )
            except MailFailed as error:
                _log.error("mail.failed: %s", error)
                if error.is_final or claimed.attempts > len(RETRIES):
                    self._settle(claimed)
                    continue
                self._retry(claimed)
                break
            self._settle(claimed)
            sent += 1
        return sent

    def _claim(self) -> _Claimed | None:
        """Claim a due notice, and clear those that are no longer wanted."""
        query = select(Notice).where(Notice.due_at <= now()).order_by(Notice.due_at).limit(1)
        with self._database.write() as session:
            while notice := session.scalar(query.with_for_update(skip_locked=True)):
                account = session.get_one(Account, notice.account_id)
                if _wants(account, notice.kind) and self._is_true(account, notice):
                    notice.due_at = now() + LEASE
                    notice.attempts += 1
                    return _Claimed(
                        account.id,
                        notice.kind,
                        len(notice.items),
                        notice.attempts,
                        account.email,
                        message(
                            notice.kind,
                            notice.items,
                            account.balance,
                            self._settings.base_url,
                            account.language or SOURCE,
                        ),
                    )
                notice.items, notice.due_at, notice.attempts = [], None, 0
                session.flush()
        return None

    def _is_true(self, account: Account, notice: Notice) -> bool:
        return self._is_low(account.balance) if notice.kind == LOW_CREDITS else bool(notice.items)

    def _settle(self, claimed: _Claimed) -> None:
        """Remove what was reported; the rest, which was added meanwhile, is due after the pause."""
        with self._database.write() as session:
            notice = _locked(session, claimed)
            notice.items = notice.items[claimed.items :]
            notice.attempts, notice.sent_at = 0, now()
            notice.due_at = now() + PAUSES[claimed.kind] if notice.items else None

    def _retry(self, claimed: _Claimed) -> None:
        with self._database.write() as session:
            _locked(session, claimed).due_at = now() + RETRIES[claimed.attempts - 1]


def _locked(session: Session, claimed: _Claimed) -> Notice:
    return session.get_one(Notice, (claimed.account_id, claimed.kind), with_for_update=True)


def _notice(session: Session, account_id: str, kind: str) -> Notice:
    """Return the account's row, which is locked or new."""
    found = session.get(Notice, (account_id, kind), with_for_update=True)
    if found is None:
        found = Notice(account_id=account_id, kind=kind, items=[], attempts=0)
        session.add(found)
    return found


def _add_item(session: Session, settings: Settings, account_id: str, kind: str, item: dict[str, Any]) -> None:
    if _gets(session, settings, account_id, kind):
        notice = _notice(session, account_id, kind)
        notice.items = [*notice.items, item][-MAX_ITEMS:]
        next_at = notice.sent_at + PAUSES[kind] if notice.sent_at else now()
        notice.due_at = notice.due_at or max(now() + GATHER, next_at)


def _gets(session: Session, settings: Settings, account_id: str, kind: str) -> bool:
    return bool(settings.smtp_url) and _wants(session.get_one(Account, account_id), kind)


def _wants(account: Account, kind: str) -> bool:
    """Return true if the account chose these messages and its address can get them.

    Every account gets those on disabled endpoints.
    """
    chosen = {DONE: account.mail_done, LOW_CREDITS: account.mail_low_credits}.get(kind, True)
    return chosen and account.verified_at is not None and account.disabled_at is None
