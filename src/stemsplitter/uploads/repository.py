"""Queries of uploads."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import and_, delete, or_, select, update
from sqlalchemy.orm import Session

from stemsplitter.clock import now
from stemsplitter.uploads.models import RECEIVED, RECEIVING, RESERVED, USED, Upload


def find(session: Session, upload_id: str) -> Upload | None:
    """The upload of that id."""
    return session.get(Upload, upload_id)


def begin(
    session: Session, upload_id: str, now: datetime, until: datetime, kept: int | None = None
) -> int | None:
    """Give the upload to a new attempt, and return its number; None where another has it, it was received, or not
    ``kept`` bytes are in chunks."""
    free = or_(Upload.status == RESERVED, and_(Upload.status == RECEIVING, Upload.receiving_until < now))
    if kept is not None:
        free = and_(free, Upload.kept == kept)
    return session.scalar(
        update(Upload)
        .where(Upload.id == upload_id, free)
        .values(status=RECEIVING, attempt=Upload.attempt + 1, receiving_until=until)
        .returning(Upload.attempt)
    )


def keep(session: Session, upload_id: str, attempt: int, until: datetime) -> bool:
    """Let the attempt go on until then; False where it is not its turn any more."""
    return _change(session, upload_id, attempt, {"receiving_until": until})


def finish(
    session: Session, upload_id: str, attempt: int, storage_key: str, sha256: str, now: datetime
) -> bool:
    """The attempt has the file; False where it is not its turn any more."""
    values = {"status": RECEIVED, "storage_key": storage_key, "sha256": sha256, "received_at": now}
    return _change(session, upload_id, attempt, {**values, "receiving_until": None})


def keep_chunk(session: Session, upload_id: str, attempt: int, kept: int) -> bool:
    """The attempt has brought a chunk, so that as many bytes are kept, and another may begin; False where it is not its
    turn any more."""
    return _change(session, upload_id, attempt, {"status": RESERVED, "receiving_until": None, "kept": kept})


def lose_chunks(session: Session, upload_id: str, attempt: int) -> bool:
    """The attempt has found that chunks are gone; False where it is not its turn any more."""
    return _change(session, upload_id, attempt, {"kept": 0})


def free(session: Session, upload_id: str, attempt: int) -> bool:
    """The attempt has given up, and another may begin."""
    return _change(session, upload_id, attempt, {"status": RESERVED, "receiving_until": None})


def _change(session: Session, upload_id: str, attempt: int, values: dict[str, object]) -> bool:
    mine = and_(Upload.id == upload_id, Upload.status == RECEIVING, Upload.attempt == attempt)
    changed = update(Upload).where(mine).values(values).returning(Upload.id)
    return session.scalar(changed) is not None


def use(session: Session, upload_id: str) -> bool:
    """A split takes the file; False where it was not received or another has taken it."""
    taken = update(Upload).where(Upload.id == upload_id, Upload.status == RECEIVED).values(status=USED)
    return session.scalar(taken.returning(Upload.id)) is not None


def use_direct(session: Session, upload_id: str, sha256: str) -> bool:
    """A split takes the file that was sent to the store itself; False where it was received here, or is being, or
    another split has taken it."""
    taken = (
        update(Upload)
        .where(Upload.id == upload_id, Upload.status == RESERVED)
        .values(status=USED, sha256=sha256, received_at=now())
    )
    return session.scalar(taken.returning(Upload.id)) is not None


def lock_ended(session: Session, before: datetime, limit: int) -> Sequence[Upload]:
    """Uploads that expired before then, the oldest first, which nobody else changes until the transaction ends."""
    ended = select(Upload).where(Upload.expires_at < before).order_by(Upload.expires_at).limit(limit)
    return session.scalars(ended.with_for_update(skip_locked=True)).all()


def remove(session: Session, upload_ids: Sequence[str]) -> None:
    """Forget these uploads."""
    session.execute(delete(Upload).where(Upload.id.in_(upload_ids)))
