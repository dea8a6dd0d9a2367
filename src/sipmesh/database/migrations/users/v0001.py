"""The users: their password hashes, home pools, aliases and rules for watchers."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

_INSTANT = sa.DateTime(timezone=True)
_FIRST_VERSION = "INSERT INTO users_version (id, version) SELECT 1, 0 WHERE NOT EXISTS (SELECT 1 FROM users_version)"


def upgrade() -> None:
    """Create the tables that are missing."""
    _create_users()
    _create_changes()
    _create_beside()
    op.execute(_FIRST_VERSION)


def _create_users() -> None:
    op.create_table(
        "users",
        sa.Column("aor", sa.Text, primary_key=True),
        sa.Column("ha1_sha256", sa.Text),
        sa.Column("ha1_md5", sa.Text),
        sa.Column("generation", sa.BigInteger, nullable=False),
        sa.Column("created", _INSTANT, nullable=False),
        sa.Column("pool", sa.Text),
        if_not_exists=True,
    )
    if "pool" not in {column["name"] for column in sa.inspect(op.get_bind()).get_columns("users")}:
        op.add_column("users", sa.Column("pool", sa.Text))
    op.create_index("users_folded", "users", [sa.text("lower(aor)")], if_not_exists=True)


def _create_changes() -> None:
    op.create_table(
        "users_version",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("version", sa.BigInteger, nullable=False),
        if_not_exists=True,
    )
    op.create_table(
        "users_changes",
        sa.Column("version", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("aor", sa.Text, nullable=False),
        if_not_exists=True,
    )


def _create_beside() -> None:
    op.create_table(
        "users_aliases",
        sa.Column("alias", sa.Text, primary_key=True),
        sa.Column("aor", sa.Text, nullable=False),
        sa.Column("created", _INSTANT, nullable=False),
        if_not_exists=True,
    )
    op.create_index("ix_users_aliases_aor", "users_aliases", ["aor"], if_not_exists=True)
    op.create_table(
        "users_disabled",
        sa.Column("aor", sa.Text, primary_key=True),
        sa.Column("ha1_sha256", sa.Text),
        sa.Column("ha1_md5", sa.Text),
        sa.Column("since", _INSTANT, nullable=False),
        if_not_exists=True,
    )
    op.create_table(
        "users_watchers",
        sa.Column("aor", sa.Text, primary_key=True),
        sa.Column("watcher", sa.Text, primary_key=True),
        sa.Column("rule", sa.Text, nullable=False),
        if_not_exists=True,
    )
    op.create_table(
        "users_backups",
        sa.Column("pool", sa.Text, primary_key=True),
        sa.Column("backup", sa.Text, nullable=False),
        if_not_exists=True,
    )
