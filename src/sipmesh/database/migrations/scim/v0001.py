"""The classes of numbers that groups give, and the users and groups that SCIM clients write."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

_INSTANT = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Create the tables, which an earlier release passes over."""
    op.create_table(
        "users_classes",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("classes", sa.Text, nullable=False),
    )
    op.create_table(
        "users_scim",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False, index=True),
        sa.Column("external_id", sa.Text, nullable=False, index=True),
        sa.Column("document", sa.Text, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("created", _INSTANT, nullable=False),
        sa.Column("changed", _INSTANT, nullable=False),
    )
    op.create_table(
        "users_scim_members",
        sa.Column("group_id", sa.Text, primary_key=True),
        sa.Column("member_id", sa.Text, primary_key=True, index=True),
    )
