"""The pages in groups: what the navigation beside each page shows, and the way that leads to a page."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Entry:
    """A page in the navigation, at *path*; pages below the path belong to it."""

    path: str
    label: str

    def has(self, path: str) -> bool:
        """Tell whether *path* is this page, or a page below it."""
        return path == self.path or (self.path != "/" and path.startswith(f"{self.path}/"))


GROUPS: Final[tuple[tuple[str, tuple[Entry, ...]], ...]] = (
    (
        "Network",
        (Entry("/", "Overview"), Entry("/map", "Map"), Entry("/status", "Servers"), Entry("/verdicts", "Links")),
    ),
    ("Calls", (Entry("/calls", "Calls"), Entry("/trace", "Trace"), Entry("/refused", "Refused peers"))),
    ("People", (Entry("/users", "Users"), Entry("/directory", "Directory"), Entry("/registrations", "Registrations"))),
    ("Trust", (Entry("/partners", "Partners"), Entry("/certificates", "Certificates"))),
    ("Changes", (Entry("/versions", "Draft and versions"), Entry("/audit", "Audit log"))),
)

BELOW: Final = {
    "/add/partner": "/partners",
    "/add/": "/status",
    "/servers/": "/status",
    "/applications/": "/status",
    "/links/": "/verdicts",
    "/user/": "/users",
    "/group/": "/users",
    **dict.fromkeys(("/enrol", "/issue", "/revoke", "/sign-crls"), "/certificates"),
    **dict.fromkeys(("/block", "/unblock"), "/partners"),
    **dict.fromkeys(("/apply", "/publish", "/rollback"), "/versions"),
}
"""The page that each further path belongs to."""


def place_of(path: str) -> tuple[str, Entry] | None:
    """Return the group and the entry that *path* belongs to, None for a page outside of the navigation."""
    above = next((entry for start, entry in BELOW.items() if path.startswith(start)), path)
    return next(((group, entry) for group, entries in GROUPS for entry in entries if entry.has(above)), None)
