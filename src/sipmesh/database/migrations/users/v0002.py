"""The key by which unknown names are challenged as users are, the same for the whole organisation."""

from __future__ import annotations

import secrets

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Make the key. The number of existing users rises with no change of a user, so that each server gets all users again."""
    op.add_column("users_version", sa.Column("names_key", sa.Text))
    made = sa.text(
        "UPDATE users_version SET names_key = :key, version = CASE version WHEN 0 THEN 0 ELSE version + 1 END"
    )
    op.execute(made.bindparams(key=secrets.token_hex(32)))
