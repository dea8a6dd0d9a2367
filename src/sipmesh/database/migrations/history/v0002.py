"""How many messages each user has in the history, and of how many octets: to keep one more costs the same for each user."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

_COUNT = (
    "INSERT INTO message_history_users (owner, account, messages, octets) "
    "SELECT owner, min(account), count(*), sum(size) FROM message_history GROUP BY owner"
)


def upgrade() -> None:
    """Add the table, and count what is there."""
    op.create_table(
        "message_history_users",
        sa.Column("owner", sa.Text, primary_key=True),
        sa.Column("account", sa.BigInteger, nullable=False),
        sa.Column("messages", sa.BigInteger, nullable=False),
        sa.Column("octets", sa.BigInteger, nullable=False),
    )
    op.execute(_COUNT)
