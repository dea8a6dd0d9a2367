"""The table of users who come from a directory: a schema of its own, which an earlier release passes over."""

from __future__ import annotations

from typing import Final

import sqlalchemy as sql

from sipmesh.storage.users.user_tables import Instant

SCHEMA: Final = sql.MetaData()
# One row for each entry that is a user here. *id* is objectGUID or entryUUID, *aliases* has JSON. *ended_by* says why the
# directory has disabled the user here, "" if it has not, and *since* when that changed. *is_loss*: it counts among the losses of
# a day. *to_revoke* has the addresses whose device certificates are still to be revoked, with a blank between two.
LINKS = sql.Table(
    "users_directory",
    SCHEMA,
    sql.Column("id", sql.Text, primary_key=True),
    sql.Column("aor", sql.Text, nullable=False, unique=True),
    sql.Column("dn", sql.Text, nullable=False),
    sql.Column("name", sql.Text, nullable=False),
    sql.Column("mail", sql.Text, nullable=False),
    sql.Column("aliases", sql.Text, nullable=False),
    sql.Column("ended_by", sql.Text, nullable=False),
    sql.Column("since", Instant, nullable=False),
    sql.Column("is_loss", sql.Boolean, nullable=False),
    sql.Column("to_revoke", sql.Text, nullable=False),
)
