"""The password hashes of a user (H(A1), RFC 7616 section 3.4.2), as columns of the table of users."""

from __future__ import annotations

import secrets
from collections.abc import Collection, Mapping
from datetime import timedelta
from typing import Any, Final

from sipmesh.routing.authentication.verifier import NO_DEVICES, NO_LOGOUTS, Verifier, user_of
from sipmesh.sip.digest import Algorithm, ha1
from sipmesh.sip.uri import SipUri
from sipmesh.storage.users.user_columns import COLUMN_OF, UNKNOWN_INSTANT
from sipmesh.storage.users.user_rows import wrong

DEFAULT_ALGORITHMS: Final = (Algorithm.SHA_256, Algorithm.MD5)
"""RFC 8760 2.6: the strongest first. MD5 is for browser libraries; MD5 alone is for phones that support no other algorithm."""


def password_hashes(
    uri: SipUri, password: str, algorithms: Collection[Algorithm], realm: str | None
) -> dict[str, str | None]:
    """Compute the hash columns; the column of an algorithm that is not used is None.

    The realm is by default the domain of *uri*. Raises `OperatorError` for an empty password, and without an algorithm.
    """
    if not password or not algorithms:
        raise wrong(f"{uri.aor} would have no password", "give a password that is not empty")
    return device_hashes(user_of(uri.aor), realm or uri.domain, password, algorithms)


def device_hashes(
    login: str, realm: str, password: str, algorithms: Collection[Algorithm] = DEFAULT_ALGORITHMS
) -> dict[str, str | None]:
    """Compute the hash columns of the digest user name *login*; the column of an algorithm that is not used is None."""
    return {
        column: ha1(login, realm, password, algorithm) if algorithm in algorithms else None
        for algorithm, column in COLUMN_OF.items()
    }


def verifier_of(row: Mapping[str, Any]) -> Verifier:
    """Return what checks the passwords of the user in *row*: ``devices`` has those of devices (`device_rows.with_devices`)."""
    hashes = {algorithm: row[column] for algorithm, column in COLUMN_OF.items() if row[column]}
    created = max(0, (row["created"] - UNKNOWN_INSTANT) // timedelta(microseconds=1))
    devices, is_disabled = row.get("devices", NO_DEVICES), row.get("is_disabled", False)
    logouts, classes = row.get("logouts", NO_LOGOUTS), row.get("classes", ())
    return Verifier(row["aor"], row["generation"], hashes, created, devices, is_disabled, logouts, classes)


def unknown_hashes(known: Mapping[str, str | None]) -> dict[str, str | None]:
    """Make random hashes of the same lengths: H(A1) of no known password, so that no response can be computed."""
    return {column: secrets.token_hex(len(ha1) // 2) if ha1 else None for column, ha1 in known.items()}
