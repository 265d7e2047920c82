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
    """Bring the tables from the revision before to this one. There is no way back but a backup."""
    ${upgrades if upgrades else "pass"}
