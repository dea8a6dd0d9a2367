"""Links that a check has opened and does not need any more: the peer may have chosen one for its own requests."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sipmesh.server.proxy.flow import Flow

if TYPE_CHECKING:
    from collections.abc import Callable

    from sipmesh.transport.link.link import Link

LONGEST_S: Final = 180.0
"""How long a link stays on which a request is always under way: longer than a call rings (timer C)."""


class SpentLinks:
    """Drains each link once no request is under way on it; *clock* gives the loop time."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._until: dict[Link, float] = {}

    def add(self, link: Link) -> None:
        """Drain *link* at the next `tick`, unless the peer uses it then."""
        self._until[link] = self._clock() + LONGEST_S

    def tick(self) -> None:
        """Drain the links on which nothing is under way; called about twice a second."""
        now = self._clock()
        for link, until in list(self._until.items()):
            if now >= until or not (isinstance(link.flow, Flow) and link.flow.is_waited_on):
                del self._until[link]
                link.drain()

    def close(self) -> None:
        """Drain all links now."""
        for link in self._until:
            link.drain()
        self._until.clear()
