"""Logouts at the OpenID provider, which end access tokens of a user."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Add the table: no user has logged out yet."""
    op.create_table(
        "users_logouts",
        sa.Column("aor", sa.Text, primary_key=True),
        sa.Column("session", sa.Text, primary_key=True),
        sa.Column("at", sa.BigInteger, nullable=False),
    )
