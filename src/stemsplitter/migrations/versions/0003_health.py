"""What was seen of the service, minute by minute."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision: str | None = "0002"


def upgrade() -> None:
    """Bring the tables from the revision before to this one. There is no way back but a backup."""
    op.create_table(
        "health_checks",
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("storage", sa.Boolean(), nullable=False),
        sa.Column("queued", sa.Integer(), nullable=False),
        sa.Column("waited_s", sa.Integer(), nullable=False),
        sa.Column("workers", sa.Integer(), nullable=False),
        sa.Column("faults", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("at", name=op.f("pk_health_checks")),
    )
