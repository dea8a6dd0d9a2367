"""The link of a client at another server, as the home pool of its user sees it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sipmesh.transport.link.events import LinkEvents
from sipmesh.transport.link.link import Link
from sipmesh.trust.evidence import Direction, LinkKind

if TYPE_CHECKING:
    from collections.abc import Callable

    from sipmesh.transport.reactor.reactor import Reactor


class CarriedLink(Link):
    """A client's link at the server *access*, reached by *carrier*, our link to that server.

    It has no socket and is in no registry. What is sent to it goes to *carrier*. *on_login* is called when its user has
    logged in, and *on_close* with the reason when it is closed here. *remote* is the client's address as *access* has
    reported it: it is for the log, and for delays after failed logins.
    """

    __slots__ = ("_is_over", "_on_close", "_on_login", "access", "carrier", "is_kept")

    def __init__(
        self,
        reactor: Reactor,
        carrier: Link,
        access: str,
        number: int,
        on_login: Callable[[CarriedLink], None],
        on_close: Callable[[CarriedLink, str], None],
    ) -> None:
        super().__init__(reactor, LinkEvents(), LinkKind.CLIENT, Direction.ACCEPTED)
        self.carrier, self.access, self.number = carrier, access, number
        self.port, self.local = carrier.port, carrier.local
        self._on_login, self._on_close = on_login, on_close
        self._is_over = self.is_kept = False

    def __repr__(self) -> str:
        return f"<CarriedLink {self.id} of {self.remote[0]} at {self.access} by {self.carrier.id}>"

    @property
    def usable(self) -> bool:
        """Whether `send` accepts messages now."""
        return not self._is_over and self.carrier.usable

    def has_room(self, size: int) -> bool:
        """Return whether a message of *size* octets from one peer to another may be queued now."""
        return self.usable and self.carrier.has_room(size)

    def send(self, data: bytes) -> bool:
        """Queue whole messages on the carrier; False if it does not accept them."""
        return self.carrier.send(data)

    def authenticate(self) -> None:
        """A user has logged in: the flow counts from now on."""
        super().authenticate()
        self._on_login(self)

    def drain(self) -> None:
        """Close: what waits is in the queue of the carrier."""
        self.close("drained")

    def leave(self) -> None:
        """End the flow because the client has gone: it gets no message."""
        self._is_over = True

    def close(self, why: str) -> None:
        """End the flow; the server with the client's link closes that link."""
        if self._is_over:
            return
        self._is_over, self.why = True, why
        self._on_close(self, why)
