"""Logins of web phones that have ended before their tickets."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Add the table: no web phone has logged out yet."""
    op.create_table(
        "ended_tickets",
        sa.Column("login", sa.Text, primary_key=True),
        sa.Column("until", sa.BigInteger, nullable=False),
    )
