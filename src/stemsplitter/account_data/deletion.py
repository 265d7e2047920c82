"""Deletion of an account. The ledger and the payments stay, without the address, as accounting requires them."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final

from sqlalchemy import delete, func, select, update
from sqlalchemy.orm import Session

from stemsplitter import account_ids
from stemsplitter.accounts.models import Account, AddressLink, ApiKey, WebhookSecret
from stemsplitter.api_requests.models import ApiRequest
from stemsplitter.clock import now
from stemsplitter.database import Base, Database
from stemsplitter.idempotency.models import IdempotencyRecord
from stemsplitter.jobs.endings import JobEndings
from stemsplitter.jobs.models import UNFINISHED, Job
from stemsplitter.jobs.service import CANCELED
from stemsplitter.notices.models import Notice
from stemsplitter.service_errors import Conflict, NotFound
from stemsplitter.sessions.models import BrowserSession, SignInLink
from stemsplitter.shares.models import ShareLink
from stemsplitter.splits.models import Split
from stemsplitter.tool_jobs.models import ToolJob
from stemsplitter.uploads.models import RECEIVED, USED, Upload
from stemsplitter.webhooks.models import WebhookEndpoint, WebhookEvent

DELETED = "deleted:"  # begins what replaces the address of a deleted account
# deliveries and attempts are deleted with their events
ROWS: Final[tuple[type[Base], ...]] = (
    AddressLink, ApiKey, ApiRequest, BrowserSession, IdempotencyRecord, Notice, ShareLink, SignInLink,
    WebhookEndpoint, WebhookEvent, WebhookSecret,
)  # fmt: skip
_PAST = timedelta(days=30)  # longer ago than anything is kept after its expiry


class AccountDeletion:
    """Deletes accounts.

    Args:
        endings: those of each kind of job.
    """

    def __init__(self, database: Database, endings: Mapping[str, JobEndings]) -> None:
        self._database, self._endings = database, endings

    def delete(self, account_id: str) -> None:
        """Delete all data of the account and of its test account but its ledger and its payments, which keep its id.

        Its keys and sessions end at once. Its jobs are canceled, and expire: maintenance deletes their files within
        minutes, and uploads that no job uses within a day.

        Raises:
            NotFound: there is no such account.
            Conflict: it is the only one of an operator.
        """
        with self._database.write() as session:
            account = session.get(Account, account_id, with_for_update=True)
            is_test = account_ids.is_test(account_id)
            if account is None or is_test or account.email.startswith(DELETED):
                raise NotFound(f"There is no account {account_id}: check the id.")
            _check_is_not_last(session, account)
            for each in account_ids.both(account_id):
                self._end_jobs(session, each)
                _expire_uploads(session, each)
                for table in ROWS:
                    session.execute(delete(table).where(table.__table__.c.account_id == each))
            account.email, account.name, account.password_hash = f"{DELETED}{account_id}", "", None
            account.role, account.verified_at = "user", None
            account.mail_done = account.mail_low_credits = False
            account.disabled_at = account.disabled_at or now()

    def _end_jobs(self, session: Session, account_id: str) -> None:
        """Cancel the unfinished jobs without webhooks, and let all jobs expire without what the account entered."""
        own = update(Job).where(Job.account_id == account_id)
        session.execute(own.values(webhook_url=None), execution_options={"synchronize_session": False})
        unfinished = select(Job.id, Job.kind).where(Job.account_id == account_id, Job.status.in_(UNFINISHED))
        for job_id, kind in session.execute(unfinished).all():
            self._endings[kind].fail(session, job_id, None, CANCELED, "The account was deleted.")
        values: dict[str, Any] = {"filename": "", "user_metadata": {}, "error_message": None, "cause": None}
        session.execute(own.values(values), execution_options={"synchronize_session": False})
        songs = (
            update(Split).where(Split.account_id == account_id).values(title=None, artist=None, cover=None)
        )
        session.execute(songs, execution_options={"synchronize_session": False})
        expired = own.where(Job.deleted_at.is_(None)).values(expires_at=now())
        session.execute(expired, execution_options={"synchronize_session": False})
        texts = update(ToolJob).where(ToolJob.account_id == account_id).values(parameters={})
        session.execute(texts, execution_options={"synchronize_session": False})


def _expire_uploads(session: Session, account_id: str) -> None:
    """Let the uploads expire. A client may still send one that was reserved: it expires by itself."""
    own = update(Upload).where(Upload.account_id == account_id)
    session.execute(own.values(filename=""))
    session.execute(own.where(Upload.status.in_((RECEIVED, USED))).values(expires_at=now() - _PAST))


def _check_is_not_last(session: Session, account: Account) -> None:
    others = select(func.count()).where(
        Account.role == "operator", Account.disabled_at.is_(None), Account.id != account.id
    )
    if account.role == "operator" and not session.scalar(others):
        raise Conflict("This is the only operator: create another one first.")
