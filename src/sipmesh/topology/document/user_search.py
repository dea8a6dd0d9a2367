"""Which users a user finds by a search."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum


class UserSearch(StrEnum):
    """Whom each user may find, by address or number. Unlisted users, and users of partners, are never found."""

    ORGANISATION = "organisation"  # all users of ours
    DOMAIN = "domain"  # users of the same SIP domain
    POOL = "pool"  # users of the same home pool
    OFF = "off"  # no search


def is_in(scope: UserSearch, searcher: str, found: str, home_of: Callable[[str], str | None]) -> bool:
    """Tell whether *searcher* may find the user *found*; *home_of* gives the home pool of a user."""
    if scope is UserSearch.DOMAIN:
        return searcher.rpartition("@")[2] == found.rpartition("@")[2]
    if scope is UserSearch.POOL:
        return home_of(searcher) is not None and home_of(searcher) == home_of(found)
    return scope is UserSearch.ORGANISATION
