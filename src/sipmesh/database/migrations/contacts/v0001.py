"""The contacts of users."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Add the tables: no user has contacts here yet."""
    op.create_table(
        "users_contacts",
        sa.Column("aor", sa.Text, primary_key=True),
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("uid", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("address", sa.Text, nullable=False),
        sa.Column("about", sa.Text, nullable=False),
    )
    op.create_index("ix_users_contacts_address", "users_contacts", ["address"])
    op.create_table(
        "users_contact_changes",
        sa.Column("aor", sa.Text, primary_key=True),
        sa.Column("number", sa.BigInteger, nullable=False),
    )
