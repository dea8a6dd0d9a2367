"""Columns of users and their values, for those who need no tables."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from sipmesh.sip.digest import Algorithm

UNKNOWN_INSTANT: Final = datetime(1970, 1, 1, tzinfo=UTC)
"""What replaces a time that cannot be read: 0 in seconds since 1970, which are the other way to write a time.

A client that can write to a database can write a time that cannot be read, and it must not hide other rows.
"""

COLUMN_OF: Final = {Algorithm.SHA_256: "ha1_sha256", Algorithm.MD5: "ha1_md5"}
"""The columns of the password hashes."""
