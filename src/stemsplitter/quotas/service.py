"""Bytes of accounts in the file storage, within a quota.

Before files are written, an upper bound of their size is reserved; then their size is recorded. All ways in reserve
here: uploads, downloads, splits and the files derived from them, from the API and the console.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import delete, func, select, update
from sqlalchemy.orm import Session

from stemsplitter import account_ids
from stemsplitter.clock import now
from stemsplitter.credits.service import CreditService
from stemsplitter.quotas.disk import Disk
from stemsplitter.quotas.models import StoredBytes
from stemsplitter.service_errors import QuotaExceeded
from stemsplitter.settings import Settings


class Quotas:
    """Counts the stored bytes of accounts, those of a test account as its owner's. ``owner_id`` is the id of an upload
    or a split, ``name`` that of a derived file."""

    def __init__(self, settings: Settings, credits: CreditService, disk: Disk) -> None:
        self._settings, self._credits, self._disk = settings, credits, disk

    def check_some(self, session: Session, account_id: str) -> None:
        """Check that something can be stored at all, without a lock.

        Raises:
            QuotaExceeded: the quota is used up.
            Busy: the disk is almost full.
        """
        self._check(session, account_id, 1)

    def check_space(self) -> None:
        """Raise Busy if the disk is almost full: others may have reserved the same space, and filled it."""
        self._disk.check()

    def is_disk_full(self) -> bool:
        """Return true if the disk is almost full."""
        return self._disk.is_full()

    def lock(self, session: Session, account_id: str) -> None:
        """Let the transactions that reserve bytes of an account run one after the other. Raises NotFound."""
        self._credits.lock(session, account_ids.owner(account_id))

    def reserve(
        self,
        session: Session,
        account_id: str,
        owner_id: str,
        size: int,
        *,
        name: str = "",
        expires_at: datetime | None = None,
    ) -> None:
        """Set the bytes of an owner, before they are written.

        Raises:
            QuotaExceeded: they are more than before, and the account would exceed its quota.
            Busy: they are more than before, and the disk would be almost full.
            NotFound: there is no such account.
        """
        self.lock(session, account_id)  # one reservation of an account at a time
        row = session.get(StoredBytes, (owner_id, name), populate_existing=True)
        growth = size - (row.bytes if row else 0)
        if growth > 0:
            self._check(session, account_id, growth)
        if row is None:
            row = StoredBytes(owner_id=owner_id, name=name, account_id=account_ids.owner(account_id))
            session.add(row)
        row.bytes, row.expires_at = size, expires_at
        session.flush()

    def add(
        self,
        session: Session,
        account_id: str,
        owner_id: str,
        size: int,
        *,
        name: str,
        expires_at: datetime | None = None,
    ) -> None:
        """Count files without a check: their bytes were reserved as a part of their split's."""
        account = account_ids.owner(account_id)
        row = StoredBytes(owner_id=owner_id, name=name, account_id=account, bytes=size)
        row.expires_at = expires_at
        session.add(row)
        session.flush()

    def record(self, session: Session, owner_id: str, size: int, *, name: str = "") -> bool:
        """Set the reserved bytes of an owner to the size of its files, without a check; False if they were released."""
        changed = update(StoredBytes).where(StoredBytes.owner_id == owner_id, StoredBytes.name == name)
        changed = changed.values(bytes=size).returning(StoredBytes.owner_id)
        return session.scalar(changed, execution_options={"synchronize_session": False}) is not None

    def reserved(self, session: Session, owner_id: str) -> int:
        """Return the bytes of an owner, without its derived files."""
        found = select(StoredBytes.bytes).where(StoredBytes.owner_id == owner_id, StoredBytes.name == "")
        return session.scalar(found) or 0

    def release(self, session: Session, *owner_ids: str) -> None:
        """Delete the bytes of owners, with their derived files."""
        released = delete(StoredBytes).where(StoredBytes.owner_id.in_(owner_ids))
        session.execute(released, execution_options={"synchronize_session": False})

    def expire(self, session: Session, owner_id: str, name: str) -> None:
        """Have maintenance delete a derived file and its bytes, which count until then."""
        expired = update(StoredBytes).where(StoredBytes.owner_id == owner_id, StoredBytes.name == name)
        expired = expired.values(expires_at=now() - timedelta(milliseconds=1))
        session.execute(expired, execution_options={"synchronize_session": False})

    def expired(self, session: Session, limit: int) -> Sequence[tuple[str, str]]:
        """Return owner and name of at most ``limit`` rows that have expired."""
        query = select(StoredBytes.owner_id, StoredBytes.name).where(StoredBytes.expires_at < now())
        found = session.execute(query.order_by(StoredBytes.expires_at).limit(limit))
        return [(owner_id, name) for owner_id, name in found]

    def release_expired(self, session: Session, owner_id: str, name: str) -> None:
        """Delete the bytes, unless they were reserved again since they expired."""
        expired = delete(StoredBytes).where(
            StoredBytes.owner_id == owner_id, StoredBytes.name == name, StoredBytes.expires_at < now()
        )
        session.execute(expired, execution_options={"synchronize_session": False})

    def used(self, session: Session, account_id: str) -> int:
        """Return the bytes of an account."""
        own = StoredBytes.account_id == account_ids.owner(account_id)
        total = select(func.sum(StoredBytes.bytes)).where(own)
        return int(session.scalar(total) or 0)

    def used_by_all(self, session: Session) -> int:
        """Return the bytes of all accounts."""
        return int(session.scalar(select(func.sum(StoredBytes.bytes))) or 0)

    def limit(self, session: Session, account_id: str) -> int:
        """Return the quota of an account: that of paying accounts if it has bought credits, or if splits are free."""
        is_paying = not self._settings.metering or self._credits.has_bought(session, account_id)
        return self._settings.paid_quota_bytes if is_paying else self._settings.quota_bytes

    def _check(self, session: Session, account_id: str, growth: int) -> None:
        used, limit = self.used(session, account_id), self.limit(session, account_id)
        if used + growth > limit:
            raise QuotaExceeded(used, growth, limit)
        self._disk.check(growth)
