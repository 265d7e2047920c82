"""Queries of splits, besides those of all jobs."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Row, case, func, or_, select, update
from sqlalchemy.orm import Session

from stemsplitter.database import is_one_of, paging
from stemsplitter.jobs.models import FAILED, IS_UNFINISHED, PROCESSING
from stemsplitter.splits.models import SHOWN, Split


def shown(session: Session, split_ids: Collection[str]) -> dict[tuple[str, str], Row[Any]]:
    """Return the columns that clients see of splits that were not deleted, by account and id."""
    query = select(Split.account_id, *(getattr(Split, name) for name in SHOWN))
    query = query.where(is_one_of(session, Split.id, split_ids), Split.is_kept())
    return {(row.account_id, row.id): row for row in session.execute(query)}


def search(
    session: Session, account_id: str, text: str, *, limit: int, cursor: str | None
) -> tuple[Sequence[Split], str | None]:
    """Return a page of the account's splits whose title, artist or file name contains ``text``."""
    own = select(Split).where(Split.account_id == account_id)
    only: list[ColumnElement[bool]] = [Split.is_kept()]
    if text:
        columns = (Split.title, Split.artist, Split.filename)
        only.append(or_(*(column.icontains(text, autoescape=True) for column in columns)))
    return paging.page(session, own, (Split.created_at, Split.id), limit=limit, cursor=cursor, only=only)


def states(session: Session, account_id: str, split_ids: Sequence[str]) -> dict[str, tuple[str, int]]:
    """Return status and progress of those of the splits that belong to the account."""
    query = select(Split.id, Split.status, Split.progress).where(
        Split.id.in_(split_ids), Split.account_id == account_id, Split.is_kept()
    )
    return {split_id: (status, progress) for split_id, status, progress in session.execute(query)}


def with_cover(session: Session, account_id: str, split_ids: Sequence[str]) -> set[str]:
    """Return the ids of those of the account's splits that have a cover."""
    own = (Split.id.in_(split_ids), Split.account_id == account_id, Split.is_kept(), Split.cover.is_not(None))
    return set(session.scalars(select(Split.id).where(*own)))


def set_measured(session: Session, split_id: str, measured: dict[str, Any]) -> None:
    """Set ``levels`` and ``analysis`` of a finished split."""
    session.execute(update(Split).where(Split.id == split_id).values(measured))


def master_keys(session: Session, split_ids: Collection[str]) -> dict[str, list[str]]:
    """Return the storage keys of the masters of finished splits that were not deleted, by split."""
    query = select(Split.id, Split.masters).where(Split.id.in_(split_ids), Split.deleted_at.is_(None))
    query = query.where(Split.masters.is_not(None))
    return {row.id: [master["key"] for master in row.masters.values()] for row in session.execute(query)}


def unfinished(session: Session, limit: int) -> Sequence[Split]:
    """Return at most ``limit`` splits of all accounts, those of test keys aside: running ones, then queued ones, each
    oldest first."""
    running_first = case((Split.status == PROCESSING, 0), else_=1)
    query = select(Split).where(IS_UNFINISHED, Split.is_live())
    return session.scalars(query.order_by(running_first, Split.created_at, Split.id).limit(limit)).all()


def failed(
    session: Session, *, limit: int, cursor: str | None = None, code: str | None = None
) -> tuple[Sequence[Split], str | None]:
    """Return a page of the failed splits of all accounts, latest first, optionally of one error code.

    Deleted splits are included, those of test keys are not.
    """
    failed = select(Split).where(Split.status == FAILED, Split.finished_at.is_not(None), Split.is_live())
    only = [] if code is None else [Split.error_code == code]
    return paging.page(session, failed, (Split.finished_at, Split.id), limit=limit, cursor=cursor, only=only)


def failures_by_code(session: Session, since: datetime) -> dict[str, int]:
    """Count the splits of all accounts that failed since then, those of test keys aside, by error code, most frequent
    first."""
    query = (
        select(Split.error_code, func.count())
        .where(Split.status == FAILED, Split.finished_at >= since, Split.is_live())
        .group_by(Split.error_code)
        .order_by(func.count().desc(), Split.error_code)
    )
    return {code or "": count for code, count in session.execute(query)}
