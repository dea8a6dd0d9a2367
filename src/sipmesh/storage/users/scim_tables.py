"""The classes that groups give, and what SCIM clients have written: a schema of its own, which an earlier release passes over."""

from __future__ import annotations

from typing import Final

import sqlalchemy as sql

from sipmesh.storage.users.user_tables import Instant

SCHEMA: Final = sql.MetaData()
# The classes of numbers that groups give the user of the entry *id*, with a blank between two.
CLASSES = sql.Table(
    "users_classes",
    SCHEMA,
    sql.Column("id", sql.Text, primary_key=True),
    sql.Column("classes", sql.Text, nullable=False),
)
# The users and groups as SCIM clients have written them. *name* is the userName or displayName in lower case, and *document* the
# resource as JSON, without the members of a group: *MEMBERS* has these, users and groups.
RESOURCES = sql.Table(
    "users_scim",
    SCHEMA,
    sql.Column("id", sql.Text, primary_key=True),
    sql.Column("kind", sql.Text, nullable=False),
    sql.Column("name", sql.Text, nullable=False, index=True),
    sql.Column("external_id", sql.Text, nullable=False, index=True),
    sql.Column("document", sql.Text, nullable=False),
    sql.Column("version", sql.Integer, nullable=False),
    sql.Column("created", Instant, nullable=False),
    sql.Column("changed", Instant, nullable=False),
)
MEMBERS = sql.Table(
    "users_scim_members",
    SCHEMA,
    sql.Column("group_id", sql.Text, primary_key=True),
    sql.Column("member_id", sql.Text, primary_key=True, index=True),
)
