"""The tables of devices and invitations, beside those of users: a schema of their own, which an earlier release passes over."""

from __future__ import annotations

from typing import Final

import sqlalchemy as sql

from sipmesh.storage.users.user_tables import Instant

SCHEMA: Final = sql.MetaData()
# The passwords of single devices; a device with a certificate has none. The last columns say who took the invitation, and when.
DEVICES = sql.Table(
    "users_devices",
    SCHEMA,
    sql.Column("aor", sql.Text, primary_key=True),
    sql.Column("device", sql.Text, primary_key=True),
    sql.Column("ha1_sha256", sql.Text),
    sql.Column("ha1_md5", sql.Text),
    sql.Column("generation", sql.BigInteger, nullable=False),
    sql.Column("created", Instant, nullable=False),
    sql.Column("client", sql.Text, nullable=False),
    sql.Column("address", sql.Text, nullable=False),
    sql.Column("invitation", sql.Text, nullable=False),
)
# Each invitation that is open. *secret_sha256* is that of its token, or of the ticket for which the token was exchanged.
INVITATIONS = sql.Table(
    "users_invitations",
    SCHEMA,
    sql.Column("id", sql.Text, primary_key=True),
    sql.Column("secret_sha256", sql.Text, nullable=False, unique=True),
    sql.Column("is_ticket", sql.Boolean, nullable=False),
    sql.Column("aor", sql.Text, nullable=False, index=True),
    sql.Column("device", sql.Text, nullable=False),
    sql.Column("client", sql.Text, nullable=False),
    sql.Column("mac", sql.Text, nullable=False),
    sql.Column("network", sql.Text, nullable=False),
    sql.Column("remote", sql.Boolean, nullable=False),
    sql.Column("created", Instant, nullable=False),
    sql.Column("expires", Instant, nullable=False),
    sql.Column("certificate", sql.Boolean, nullable=False, server_default=sql.false()),
)
