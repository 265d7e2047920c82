"""The rows of splits are their queue: who is next, who runs what, and what all of them come to."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision: str | None = "0004"


def upgrade() -> None:
    """Bring the tables from the revision before to this one. There is no way back but a backup."""
    # a version before this one goes on inserting splits without the new columns
    with op.batch_alter_table("splits", schema=None) as batch_op:
        batch_op.add_column(sa.Column("model_name", sa.String(length=64), nullable=True))
        batch_op.add_column(
            sa.Column("priority", sa.SmallInteger(), server_default=sa.text("1"), nullable=False)
        )
        batch_op.add_column(sa.Column("turn", sa.BigInteger(), server_default=sa.text("0"), nullable=False))
        batch_op.add_column(sa.Column("worker_id", sa.String(length=32), nullable=True))
        batch_op.drop_index("ix_splits_account_id")
        batch_op.drop_index("ix_splits_status")
        batch_op.drop_index("ix_splits_expires_at")
    _index("queued", ["model_name", "priority", "turn", "id", "account_id"], "status = 'queued'")
    _index("processing", ["worker_id"], "status = 'processing'")
    _index("unfinished", ["account_id"], "status IN ('queued', 'processing')")
    _index("finished", ["status", "finished_at", "id"], "finished_at IS NOT NULL")
    _index("kept", ["account_id", "created_at", "id"], "deleted_at IS NULL")
    _index("kept_by_status", ["account_id", "status", "created_at", "id"], "deleted_at IS NULL")
    _index("expiring", ["expires_at"], "deleted_at IS NULL")
    bought = sa.text("kind = 'purchase'")
    op.create_index(
        "ix_ledger_entries_purchases",
        "ledger_entries",
        ["account_id"],
        sqlite_where=bought,
        postgresql_where=bought,
    )

    op.create_table(
        "split_queues",
        sa.Column("model_name", sa.String(length=64), nullable=False),
        sa.Column("priority", sa.SmallInteger(), nullable=False),
        sa.Column("clock", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("model_name", "priority", name=op.f("pk_split_queues")),
    )
    op.create_table(
        "split_flows",
        sa.Column("model_name", sa.String(length=64), nullable=False),
        sa.Column("priority", sa.SmallInteger(), nullable=False),
        sa.Column("account_id", sa.String(), nullable=False),
        sa.Column("end", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"], ["accounts.id"], name=op.f("fk_split_flows_account_id_accounts")
        ),
        sa.PrimaryKeyConstraint("model_name", "priority", "account_id", name=op.f("pk_split_flows")),
    )
    op.create_table(
        "split_totals",
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("until", sa.BigInteger(), nullable=False),
        sa.Column("splits", sa.BigInteger(), nullable=False),
        sa.Column("seconds", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("status", name=op.f("pk_split_totals")),
    )


def _index(name: str, columns: list[str], condition: str) -> None:
    where = sa.text(condition)
    op.create_index(f"ix_splits_{name}", "splits", columns, sqlite_where=where, postgresql_where=where)
