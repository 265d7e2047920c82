"""Alembic's environment. The caller passes a connection with a transaction; none is opened here."""

from typing import Any, Literal

from alembic import context
from alembic.autogenerate.api import AutogenContext

from stemsplitter.database import Base, UtcDateTime
from stemsplitter.migrations import tables

__all__ = ["tables"]


def _render(kind: str, item: Any, _: AutogenContext) -> str | Literal[False]:
    """Render times as the integers that are stored: our types may change, migrations may not."""
    return "sa.BigInteger()" if kind == "type" and isinstance(item, UtcDateTime) else False


context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    render_item=_render,
    render_as_batch=True,  # SQLite can alter a table only by copying it
    compare_type=True,
)
with context.begin_transaction():
    context.run_migrations()
