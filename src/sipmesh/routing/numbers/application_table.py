"""The applications of a topology, by the addresses and telephone numbers that it gives them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sipmesh.routing.numbers.trunk_table import longest
from sipmesh.sip.text import ascii_lower

if TYPE_CHECKING:
    from collections.abc import Iterable


@dataclass(frozen=True, slots=True)
class ApplicationRoute:
    """One application: its *pool*, the front-end pool *next_hop* that reaches it, and its names.

    *addresses* are ``sip:user@domain``, *numbers* first digits of whole numbers. Partners and trunks may call a *public* one. It
    *screens* the calls to these users, and to the users of these domains, who are at home in *next_hop*; while it does not
    answer, their calls go on if it *passes* them.
    """

    pool: str
    next_hop: str
    addresses: frozenset[str]
    numbers: tuple[str, ...]
    public: bool
    screens: frozenset[str] = frozenset()
    passes: bool = False


class ApplicationTable:
    """The applications of one topology that have names, or screen calls. Immutable. *screen*: one of them screens calls."""

    def __init__(self, applications: Iterable[ApplicationRoute]) -> None:
        self._applications = tuple(applications)
        self._by_address = {address: one for one in self._applications for address in one.addresses}
        self._by_screened = {
            (one.next_hop, ascii_lower(name)): one for one in self._applications for name in one.screens
        }
        self.screen = bool(self._by_screened)

    def screener(self, aor: str, home: str) -> ApplicationRoute | None:
        """Give the application that screens the calls to *aor*, at home in *home*: one of the user before one of the domain."""
        user = aor.removeprefix("sip:")
        return self._by_screened.get((home, user)) or self._by_screened.get((home, user.rpartition("@")[2]))

    def at(self, aor: str, number: str) -> ApplicationRoute | None:
        """Give the application with the address *aor* or the whole *number*; the longest first digits count."""
        found = self._by_address.get(aor)
        if found is not None or not number:
            return found
        matches = [(longest(one.numbers, number), one) for one in self._applications]
        length, found = max(matches, key=lambda match: match[0], default=(0, None))
        return found if length else None
