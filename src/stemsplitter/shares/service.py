"""Service of share links."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from stemsplitter.accounts.models import Account
from stemsplitter.accounts.tokens import hash_token, new_token
from stemsplitter.clock import now
from stemsplitter.database import Database
from stemsplitter.jobs.models import SUCCEEDED
from stemsplitter.service_errors import Conflict, NotFound, ValidationFailed
from stemsplitter.shares.models import ShareLink
from stemsplitter.splits.models import Split

DAYS = (1, 7, 30)  # choices of the lifetime
MAX_LINKS = 10  # of one split


@dataclass(frozen=True)
class Shared:
    """The split that a link shows, and the time at which it ends."""

    account_id: str
    split_id: str
    expires_at: datetime


class ShareService:
    """Creates, finds and revokes share links."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def create(self, session: Session, account_id: str, split_id: str, days: int) -> str:
        """Create a link to a succeeded split and return its token, which is not stored.

        The link ends after ``days`` days, or earlier with the split.

        Raises:
            NotFound: the account has no such split.
            Conflict: it has not succeeded, or has as many links as it may have.
            ValidationFailed: the number of days is none of :data:`DAYS`.
        """
        own = (Split.id == split_id, Split.account_id == account_id, Split.is_kept())
        split = session.scalar(select(Split).where(*own).with_for_update())
        if split is None:
            raise NotFound(f"There is no split {split_id}: check the id; its files may have been deleted.")
        if split.status != SUCCEEDED:
            raise Conflict(f"{split_id} is {split.status}: only a succeeded split can be shared.")
        if days not in DAYS:
            raise ValidationFailed("Choose how long the link works from the list.", param="days")
        if len(self.links(session, account_id, split_id)) >= MAX_LINKS:
            raise Conflict(f"This split has {MAX_LINKS} links: revoke one first.")
        token = new_token()
        session.add(
            ShareLink(
                account_id=account_id,
                split_id=split_id,
                token_hash=hash_token(token),
                expires_at=min(now() + timedelta(days=days), split.expires_at),
            )
        )
        session.flush()
        return token

    def links(self, session: Session, account_id: str, split_id: str) -> Sequence[ShareLink]:
        """Return the valid links to a split, newest first."""
        valid = select(ShareLink).where(
            ShareLink.account_id == account_id,
            ShareLink.split_id == split_id,
            ShareLink.expires_at > now(),
        )
        return session.scalars(valid.order_by(ShareLink.created_at.desc(), ShareLink.id.desc())).all()

    def revoke(self, session: Session, account_id: str, link_id: str) -> None:
        """Revoke a link. Raises NotFound if the account has no such link."""
        owned = (ShareLink.id == link_id, ShareLink.account_id == account_id)
        if session.scalar(delete(ShareLink).where(*owned).returning(ShareLink.id)) is None:
            raise NotFound("This link was revoked or has expired.")

    def find(self, token: str) -> Shared:
        """Return what a link shows.

        Raises:
            NotFound: the link is unknown, revoked or expired, its split was deleted, or its account is disabled.
        """
        query = (
            select(ShareLink)
            .join(Split, Split.id == ShareLink.split_id)
            .join(Account, Account.id == ShareLink.account_id)
            .where(
                ShareLink.token_hash == hash_token(token),
                ShareLink.expires_at > now(),
                Split.is_kept(),
                Account.disabled_at.is_(None),
            )
        )
        with self._database.read() as session:
            link = session.scalar(query)
        if link is None:
            raise NotFound("This link has expired or was revoked: ask for a new one.")
        return Shared(link.account_id, link.split_id, link.expires_at)

    def delete_expired(self) -> None:
        """Delete the expired links."""
        with self._database.write() as session:
            session.execute(delete(ShareLink).where(ShareLink.expires_at <= now()))
