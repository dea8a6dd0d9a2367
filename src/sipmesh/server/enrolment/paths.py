"""The paths of enrolment on the HTTPS server of management."""

from __future__ import annotations

from typing import Final

EST: Final = "/.well-known/est"
"""RFC 7030 section 3.2.2."""

ACME: Final = "/acme"


def is_of_acme(path: str) -> bool:
    """Tell whether a request for *path*, without percent-encoding, is one of ACME."""
    return path == ACME or path.startswith(f"{ACME}/")


def is_of_enrolment(path: str) -> bool:
    """Tell whether a request for *path* is one of EST or ACME."""
    return is_of_acme(path) or path.startswith(f"{EST}/")
