"""The passwords of single devices, and the invitations by which a device gets its password."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

_INSTANT = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Create both tables."""
    op.create_table(
        "users_devices",
        sa.Column("aor", sa.Text, primary_key=True),
        sa.Column("device", sa.Text, primary_key=True),
        sa.Column("ha1_sha256", sa.Text),
        sa.Column("ha1_md5", sa.Text),
        sa.Column("generation", sa.BigInteger, nullable=False),
        sa.Column("created", _INSTANT, nullable=False),
        sa.Column("client", sa.Text, nullable=False),
        sa.Column("address", sa.Text, nullable=False),
        sa.Column("invitation", sa.Text, nullable=False),
    )
    op.create_table(
        "users_invitations",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("secret_sha256", sa.Text, nullable=False, unique=True),
        sa.Column("is_ticket", sa.Boolean, nullable=False),
        sa.Column("aor", sa.Text, nullable=False),
        sa.Column("device", sa.Text, nullable=False),
        sa.Column("client", sa.Text, nullable=False),
        sa.Column("mac", sa.Text, nullable=False),
        sa.Column("network", sa.Text, nullable=False),
        sa.Column("remote", sa.Boolean, nullable=False),
        sa.Column("created", _INSTANT, nullable=False),
        sa.Column("expires", _INSTANT, nullable=False),
    )
    op.create_index("ix_users_invitations_aor", "users_invitations", ["aor"])
