"""Pages of a list, newest first, by keyset: a page begins after the row whose id is the cursor.

Unlike an offset, a cursor skips and repeats nothing when rows are added, and an index finds it.
"""

from collections.abc import Sequence
from typing import Any, TypeVar

from sqlalchemy import ColumnElement, Select, literal, tuple_
from sqlalchemy.orm import InstrumentedAttribute, Session

from stemsplitter.service_errors import InvalidCursor

Row = TypeVar("Row")


def page(
    session: Session,
    listed: Select[Row],
    order: tuple[InstrumentedAttribute[Any], InstrumentedAttribute[str]],
    *,
    limit: int,
    cursor: str | None,
    only: Sequence[ColumnElement[bool]] = (),
) -> tuple[Sequence[Row], str | None]:
    """Return at most ``limit`` rows of a list and the cursor of the next page, None on the last page.

    Args:
        listed: every row that can be a cursor of the list, for example all rows of one account.
        order: the column of the time that sorts the list, and the column of the id.
        cursor: the id of the last row of the page before, None for the first page.
        only: filters of the rows on the page. A cursor stays valid when its row stops matching them.

    Raises:
        InvalidCursor: the cursor does not belong to the list.
    """
    time, row_id = order
    rows = listed.where(*only).order_by(time.desc(), row_id.desc()).limit(limit + 1)
    if cursor is not None:
        at = session.scalar(listed.where(row_id == cursor).with_only_columns(time))
        if at is None:
            raise InvalidCursor
        # compared as a pair, so that the place is found in an index
        rows = rows.where(tuple_(time, row_id) < tuple_(literal(at, time.type), literal(cursor)))
    found = session.scalars(rows).all()
    more = len(found) > limit
    return found[:limit], getattr(found[limit - 1], row_id.key) if more else None
