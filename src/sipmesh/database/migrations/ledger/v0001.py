"""The journal of a CA: an SQLite file, or tables with the prefix of one generation in a shared database."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

_ALWAYS = ("issuer", "kind", "names", "not_before", "not_after", "reserved_at")


def upgrade() -> None:
    """Create the tables that are missing."""
    config = op.get_context().config
    assert config is not None  # noqa: S101 - env.py runs with one
    prefix = config.attributes["schema"].prefix
    _create_facts(prefix)
    _create_certificates(prefix)
    _create_lists(prefix)


def _create_facts(prefix: str) -> None:
    op.create_table(
        f"{prefix}facts",
        sa.Column("key", sa.Text, primary_key=True),
        sa.Column("value", sa.Text, nullable=False),
        sqlite_strict=not prefix,
        if_not_exists=True,
    )


def _create_certificates(prefix: str) -> None:
    """SQLite numbers rows itself; in a shared database a column does it."""
    numbered = [sa.Column("seq", sa.BigInteger, sa.Identity(), nullable=False)] if prefix else []
    op.create_table(
        f"{prefix}certificates",
        sa.Column("serial", sa.Text, primary_key=True),
        *(sa.Column(name, sa.Text, nullable=False) for name in _ALWAYS),
        sa.Column("der", sa.LargeBinary),
        sa.Column("revoked_at", sa.Text),
        sa.Column("reason", sa.Text),
        *numbered,
        sqlite_strict=not prefix,
        if_not_exists=True,
    )


def _create_lists(prefix: str) -> None:
    op.create_table(
        f"{prefix}lists",
        sa.Column("issuer", sa.Text, primary_key=True),
        sa.Column("number", sa.BigInteger if prefix else sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("this_update", sa.Text, nullable=False),
        sa.Column("next_update", sa.Text, nullable=False),
        sa.Column("revoked", sa.Integer, nullable=False),
        sqlite_strict=not prefix,
        if_not_exists=True,
    )
