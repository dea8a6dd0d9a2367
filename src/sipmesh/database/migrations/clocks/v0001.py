"""The clocks of the servers of the management pool."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Add the table: no server has compared its clock yet, and those of the release before do not."""
    op.create_table(
        "management_clocks",
        sa.Column("server", sa.Text, primary_key=True),
        sa.Column("ahead", sa.Float, nullable=False),
    )
