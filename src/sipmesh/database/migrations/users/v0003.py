"""The rules of a user's calls, as JSON; NULL for a user without rules."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Add the column: no user has rules yet."""
    op.add_column("users", sa.Column("call_rules", sa.Text))
