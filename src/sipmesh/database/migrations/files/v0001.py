"""The files that users send beside messages."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Add the tables: there is no file yet."""
    op.create_table(
        "sent_files",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("owner", sa.Text, nullable=False),
        sa.Column("account", sa.BigInteger, nullable=False),
        sa.Column("pool", sa.Text, nullable=False),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.Column("until", sa.Float(53), nullable=False),
        sa.Column("about", sa.LargeBinary, nullable=False),
        sa.Column("parts", sa.Integer, nullable=False),
    )
    op.create_index("sent_files_by_owner", "sent_files", ["owner", "account"])
    op.create_table(
        "sent_file_parts",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("octets", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "sent_files_turn",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("turn", sa.BigInteger, nullable=False),
    )
    op.execute("INSERT INTO sent_files_turn VALUES (1, 0)")
