"""What the processes of a server tell of themselves, and the traces that splits and webhooks belong to."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision: str | None = "0006"


def upgrade() -> None:
    """Bring the tables from the revision before to this one. There is no way back but a backup."""
    with op.batch_alter_table("workers", schema=None) as batch_op:
        batch_op.add_column(sa.Column("role", sa.String(length=16), server_default="worker", nullable=False))
        batch_op.add_column(sa.Column("version", sa.String(length=32), nullable=True))
        batch_op.add_column(sa.Column("storage", sa.String(length=32), nullable=True))
        batch_op.add_column(sa.Column("secret", sa.String(length=32), nullable=True))

    with op.batch_alter_table("splits", schema=None) as batch_op:
        batch_op.add_column(sa.Column("trace", sa.String(length=64), nullable=True))

    with op.batch_alter_table("webhook_events", schema=None) as batch_op:
        batch_op.add_column(sa.Column("trace", sa.String(length=64), nullable=True))
