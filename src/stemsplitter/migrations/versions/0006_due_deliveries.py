"""Indexes by which workers find the deliveries that are due."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision: str | None = "0005"

_PENDING = sa.text("status = 'pending'")


def upgrade() -> None:
    """Bring the tables from the revision before to this one. There is no way back but a backup."""
    for name, columns in (
        ("ix_webhook_deliveries_due", ["next_attempt_at"]),
        ("ix_webhook_deliveries_waiting", ["account_id", "next_attempt_at", "id"]),
    ):
        op.create_index(name, "webhook_deliveries", columns, sqlite_where=_PENDING, postgresql_where=_PENDING)
