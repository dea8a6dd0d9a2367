"""The users who come from a directory."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

_INSTANT = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        "users_directory",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("aor", sa.Text, nullable=False, unique=True),
        sa.Column("dn", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("mail", sa.Text, nullable=False),
        sa.Column("aliases", sa.Text, nullable=False),
        sa.Column("ended_by", sa.Text, nullable=False),
        sa.Column("since", _INSTANT, nullable=False),
        sa.Column("is_loss", sa.Boolean, nullable=False),
        sa.Column("to_revoke", sa.Text, nullable=False),
    )
