"""What a watcher may see of the presence of a user."""

from __future__ import annotations

from enum import StrEnum


class Watching(StrEnum):
    """What a watcher may see of a user (RFC 3856 section 6.6)."""

    ALLOW = "allow"
    POLITE_BLOCK = "polite-block"  # the watcher sees a user who is always offline
    BLOCK = "block"
