"""How many searches for users one user, and all users, may make: a search is for one user, and no way to copy the list of all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sipmesh.server.process.request_rate import RequestRate

if TYPE_CHECKING:
    from collections.abc import Callable

SEARCHES_A_MINUTE: Final = 20
SEARCHES_AN_HOUR: Final = 120
"""Of one user: 2,400 users in an hour at most, so that a copy of 50,000 users takes a day."""

SEARCHES_OF_ALL: Final = 600
"""Searches of all users in a minute: each takes about fifteen milliseconds with 100,000 users."""

AN_HOUR_S: Final = 3600.0
EVERYBODY: Final = "*"


class SearchRates:
    """Counts the searches of one process; *clock* returns seconds that never go back.

    The home pool of a user counts searches over SIP, management those of desk phones: two servers, which count apart.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._of_user = RequestRate(SEARCHES_A_MINUTE, clock), RequestRate(SEARCHES_AN_HOUR, clock, AN_HOUR_S)
        self._of_all = RequestRate(SEARCHES_OF_ALL, clock)

    def admits(self, user: str) -> bool:
        """Count a search of *user*, and tell whether it may be made."""
        return all(rate.admits(user) for rate in self._of_user) and self._of_all.admits(EVERYBODY)
