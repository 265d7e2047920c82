"""Add the instruments of splits."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision: str | None = "0001"


def upgrade() -> None:
    """Upgrade the tables from the previous revision. Only a backup can undo it."""
    op.add_column("splits", sa.Column("instruments", sa.JSON(none_as_null=True), nullable=True))
