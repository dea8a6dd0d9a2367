"""Records of calls and messages, and how far each sink has got."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Create the tables."""
    number = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.create_table(
        "call_records",
        sa.Column("number", number, primary_key=True, autoincrement=True),
        sa.Column("server", sa.Text, nullable=False),
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("call_id", sa.Text, nullable=False),
        sa.Column("method", sa.Text, nullable=False),
        sa.Column("start", sa.Float(53), nullable=False),
        sa.Column("status", sa.Integer, nullable=False),
        sa.Column("is_up", sa.Boolean, nullable=False),
        sa.Column("caller", sa.Text, nullable=False),
        sa.Column("callee", sa.Text, nullable=False),
        sa.Column("answerer", sa.Text, nullable=False),
        sa.Column("caller_domain", sa.Text, nullable=False),
        sa.Column("callee_domain", sa.Text, nullable=False),
        sa.Column("record", sa.Text, nullable=False),
        sa.UniqueConstraint("server", "id"),
        sqlite_autoincrement=True,
    )
    for column in ("start", "call_id", "caller", "callee", "answerer"):
        op.create_index(f"call_records_by_{column}", "call_records", [column])
    op.create_table(
        "call_sinks",
        sa.Column("sink", sa.Text, primary_key=True),
        sa.Column("number", sa.BigInteger, nullable=False),
    )
