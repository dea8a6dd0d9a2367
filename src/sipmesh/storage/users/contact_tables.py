"""The tables of contacts: a schema of its own, which the release before passes over."""

from __future__ import annotations

from typing import Final

import sqlalchemy as sql

SCHEMA: Final = sql.MetaData()
# *address* is in lower case as far as addresses are compared so; *about* is JSON: the numbers and the groups.
CONTACTS = sql.Table(
    "users_contacts",
    SCHEMA,
    sql.Column("aor", sql.Text, primary_key=True),
    sql.Column("id", sql.Text, primary_key=True),
    sql.Column("uid", sql.Text, nullable=False),
    sql.Column("name", sql.Text, nullable=False),
    sql.Column("address", sql.Text, nullable=False, index=True),
    sql.Column("about", sql.Text, nullable=False),
)
# How many changes the contacts of each user have had: a phone reads them again only if this number has risen.
CHANGES = sql.Table(
    "users_contact_changes",
    SCHEMA,
    sql.Column("aor", sql.Text, primary_key=True),
    sql.Column("number", sql.BigInteger, nullable=False),
)
