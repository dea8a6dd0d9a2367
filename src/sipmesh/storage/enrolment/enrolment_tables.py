"""The tables of enrolment (`database/migrations/enrolment/v0001.py`)."""

from __future__ import annotations

import sqlalchemy as sql

SCHEMA = sql.MetaData()

TOKENS = sql.Table(
    "enrolment_tokens",
    SCHEMA,
    sql.Column("id", sql.Text, primary_key=True),
    sql.Column("server", sql.Text, nullable=False),
    sql.Column("secret_sha256", sql.Text, nullable=False),
    sql.Column("made_by", sql.Text, nullable=False),
    sql.Column("expires", sql.Float, nullable=False),
    sql.Column("used", sql.Float),
)

ACCOUNTS = sql.Table(
    "acme_accounts",
    SCHEMA,
    sql.Column("id", sql.Text, primary_key=True),
    sql.Column("server", sql.Text, nullable=False),
    sql.Column("token", sql.Text, nullable=False),
    sql.Column("jwk", sql.Text, nullable=False),
    sql.Column("thumbprint", sql.Text, nullable=False, unique=True),
    sql.Column("status", sql.Text, nullable=False),
    sql.Column("contact", sql.Text, nullable=False),
    sql.Column("made", sql.Float, nullable=False),
)

ORDERS = sql.Table(
    "acme_orders",
    SCHEMA,
    sql.Column("id", sql.Text, primary_key=True),
    sql.Column("account", sql.Text, nullable=False, index=True),
    sql.Column("document", sql.Text, nullable=False),
    sql.Column("made", sql.Float, nullable=False),
    sql.Column("expires", sql.Float, nullable=False),
)

CERTIFICATES = sql.Table(
    "enrolled_certificates",
    SCHEMA,
    sql.Column("serial", sql.Text, primary_key=True),
    sql.Column("server", sql.Text, nullable=False, index=True),
    sql.Column("account", sql.Text, nullable=False),
    sql.Column("protocol", sql.Text, nullable=False),
    sql.Column("at", sql.Float, nullable=False),
    sql.Column("replaced_by", sql.Text, nullable=False),
)
