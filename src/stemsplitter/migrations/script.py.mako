"""${message}"""

# ruff: noqa: E501

import sqlalchemy as sa
from alembic import op
% if imports:
${imports}
% endif

revision = ${repr(up_revision)}
down_revision: str | None = ${repr(down_revision)}


def upgrade() -> None:
    """Upgrade the tables from the previous revision. Only a backup can undo it."""
    ${upgrades if upgrades else "pass"}
