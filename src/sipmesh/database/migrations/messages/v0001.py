"""Messages for users who are not registered, and the lease of the server that delivers them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

_FIRST_TURN = "INSERT INTO stored_messages_turn SELECT 1, 0 WHERE NOT EXISTS (SELECT 1 FROM stored_messages_turn)"


def upgrade() -> None:
    """Create the tables that are missing."""
    _create_messages()
    op.create_table(
        "stored_message_leases",
        sa.Column("aor", sa.Text, primary_key=True),
        sa.Column("holder", sa.Text, nullable=False),
        sa.Column("ends", sa.Float(53), nullable=False),
        if_not_exists=True,
    )
    op.create_table(
        "stored_messages_turn",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("turn", sa.BigInteger, nullable=False),
        if_not_exists=True,
    )
    op.execute(_FIRST_TURN)


def _create_messages() -> None:
    number = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.create_table(
        "stored_messages",
        sa.Column("number", number, primary_key=True, autoincrement=True),
        sa.Column("aor", sa.Text, nullable=False),
        sa.Column("sender", sa.LargeBinary, nullable=False),
        sa.Column("key", sa.LargeBinary, nullable=False),
        sa.Column("octets", sa.LargeBinary, nullable=False),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.Column("expires", sa.Float(53), nullable=False),
        sa.UniqueConstraint("aor", "key"),
        sqlite_autoincrement=True,
        if_not_exists=True,
    )
    op.create_index("stored_messages_by_sender", "stored_messages", ["sender"], if_not_exists=True)
