"""For which account a message was stored: a later user of the same name does not get it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Add the account: 0 for the messages that are stored already, and for those of servers of the release before."""
    op.add_column("stored_messages", sa.Column("account", sa.BigInteger, nullable=False, server_default="0"))
