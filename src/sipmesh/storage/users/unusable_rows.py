"""Rows of the user database that no server could read: they are passed over, so that they stop no change of other users.

A client that can write to the database can write such a row. A document with it would be refused as a whole by each
server.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sipmesh.storage.users.password_hashes import verifier_of
from sipmesh.storage.users.user_document import octets_in_json, why_unreadable
from sipmesh.storage.users.user_rows import LONGEST_NAME, is_text

if TYPE_CHECKING:
    from collections.abc import Iterable


def usable_rows(rows: Iterable[dict[str, Any]]) -> tuple[list[dict[str, Any]], dict[str, str]]:
    """Return the rows of users that can be read, and why each other one cannot, by its address."""
    kept: list[dict[str, Any]] = []
    unusable: dict[str, str] = {}
    for row in rows:
        if why := _why_unusable(row):
            unusable[str(row["aor"])[:LONGEST_NAME]] = why
        else:
            kept.append(row)
    return kept, unusable


def _why_unusable(row: dict[str, Any]) -> str:
    names = (row[column] for column in ("aor", "pool") if isinstance(row[column], str))
    if any(octets_in_json(name) > LONGEST_NAME for name in names):
        return f"a name of more than {LONGEST_NAME} octets"
    try:
        return why_unreadable(verifier_of(row), row["pool"])
    except TypeError as wrong:  # a row without a time, and compiled classes take no value of another type
        return str(wrong)


def usable_addresses(found: Iterable[Any]) -> frozenset[str]:
    """Return the addresses among *found*: SQLite stores any value in any column."""
    return frozenset(value for value in found if is_text(value) and value.startswith("sip:") and value != "sip:")
