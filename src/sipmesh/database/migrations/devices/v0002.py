"""Invitations by which a device gets a certificate in place of a password."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Add the column; an open invitation gives a password, as before."""
    op.add_column("users_invitations", sa.Column("certificate", sa.Boolean, nullable=False, server_default=sa.false()))
