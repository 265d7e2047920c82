"""How many bytes of an upload are kept in chunks."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision: str | None = "0007"


def upgrade() -> None:
    """Bring the tables from the revision before to this one. There is no way back but a backup."""
    with op.batch_alter_table("uploads", schema=None) as batch_op:
        batch_op.add_column(sa.Column("kept", sa.BigInteger(), server_default=sa.text("0"), nullable=False))
