"""Queries of uploads."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import and_, delete, or_, select, update
from sqlalchemy.orm import Session

from stemsplitter.clock import now
from stemsplitter.uploads.models import RECEIVED, RECEIVING, RESERVED, USED, Upload


def find(session: Session, upload_id: str) -> Upload | None:
    """Return the upload with that id."""
    return session.get(Upload, upload_id)


def start(
    session: Session, upload_id: str, now: datetime, until: datetime, kept: int | None = None
) -> int | None:
    """Start a new attempt and return its number; None if another one is active, the file was received, or the number
    of bytes in chunks is not ``kept``."""
    free = or_(Upload.status == RESERVED, and_(Upload.status == RECEIVING, Upload.receiving_until < now))
    if kept is not None:
        free = and_(free, Upload.kept == kept)
    return session.scalar(
        update(Upload)
        .where(Upload.id == upload_id, free)
        .values(status=RECEIVING, attempt=Upload.attempt + 1, receiving_until=until)
        .returning(Upload.attempt)
    )


def extend(session: Session, upload_id: str, attempt: int, until: datetime) -> bool:
    """Extend the lease of the attempt; False if another attempt has replaced it."""
    return _change(session, upload_id, attempt, {"receiving_until": until})


def finish(
    session: Session, upload_id: str, attempt: int, storage_key: str, sha256: str, now: datetime
) -> bool:
    """Record the file that the attempt received; False if another attempt has replaced it."""
    values = {"status": RECEIVED, "storage_key": storage_key, "sha256": sha256, "received_at": now}
    return _change(session, upload_id, attempt, {**values, "receiving_until": None})


def finish_chunk(session: Session, upload_id: str, attempt: int, kept: int) -> bool:
    """Record that ``kept`` bytes are in chunks, and end the attempt; False if another attempt has replaced it."""
    return _change(session, upload_id, attempt, {"status": RESERVED, "receiving_until": None, "kept": kept})


def lose_chunks(session: Session, upload_id: str, attempt: int) -> bool:
    """Record that chunks are missing; False if another attempt has replaced this one."""
    return _change(session, upload_id, attempt, {"kept": 0})


def free(session: Session, upload_id: str, attempt: int) -> bool:
    """End the attempt without a file; False if another attempt has replaced it."""
    return _change(session, upload_id, attempt, {"status": RESERVED, "receiving_until": None})


def _change(session: Session, upload_id: str, attempt: int, values: dict[str, object]) -> bool:
    active = and_(Upload.id == upload_id, Upload.status == RECEIVING, Upload.attempt == attempt)
    changed = update(Upload).where(active).values(values).returning(Upload.id)
    return session.scalar(changed) is not None


def use(session: Session, upload_id: str) -> bool:
    """Mark the file as used by a split; False if it was not received or another split uses it."""
    used = update(Upload).where(Upload.id == upload_id, Upload.status == RECEIVED).values(status=USED)
    return session.scalar(used.returning(Upload.id)) is not None


def use_direct(session: Session, upload_id: str, sha256: str) -> bool:
    """Mark a file sent directly to the storage as used by a split; False if it was, or is being, received here, or
    another split uses it."""
    used = (
        update(Upload)
        .where(Upload.id == upload_id, Upload.status == RESERVED)
        .values(status=USED, sha256=sha256, received_at=now())
    )
    return session.scalar(used.returning(Upload.id)) is not None


def lock_expired(session: Session, before: datetime, unsent_before: datetime, limit: int) -> Sequence[Upload]:
    """Lock and return uploads that expired before then, oldest first; those that were not received if they expired
    before ``unsent_before``."""
    is_unsent = and_(Upload.status.in_((RESERVED, RECEIVING)), Upload.expires_at < unsent_before)
    expired = select(Upload).where(or_(Upload.expires_at < before, is_unsent))
    expired = expired.order_by(Upload.expires_at).limit(limit)
    return session.scalars(expired.with_for_update(skip_locked=True)).all()


def remove(session: Session, upload_ids: Sequence[str]) -> None:
    """Delete the rows of these uploads."""
    session.execute(delete(Upload).where(Upload.id.in_(upload_ids)))
