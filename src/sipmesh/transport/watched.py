"""What the reactor waits for: an object with a descriptor in the epoll."""

from __future__ import annotations

import select
from typing import TYPE_CHECKING, Final

from mypy_extensions import mypyc_attr

if TYPE_CHECKING:
    from sipmesh.routing.overload import Demand

READ: Final = select.EPOLLIN
WRITE: Final = select.EPOLLOUT


@mypyc_attr(allow_interpreted_subclasses=True)
class Watched:
    """Something with a descriptor in the epoll. A base class and not a protocol: compiled code calls its methods directly.

    :meth:`Reactor.watch` sets *generation*: it identifies one registration; a descriptor number cannot, since the kernel
    uses numbers again. *events* is epoll's mask of what it has to act on, 0 if there is nothing. *greeting* is true while events
    are handshake steps, which ``handshakes_per_turn`` limits.
    """

    __slots__ = ("events", "generation")

    events: int
    generation: int

    @property
    def greeting(self) -> bool:
        """Whether events are handshake steps."""
        return False

    def principal(self) -> Demand | None:
        """Give what the principal asks for whom this serves; None for what serves all."""
        return None

    def ready(self, mask: int) -> None:
        """Act on epoll's *mask*."""
        raise NotImplementedError

    def flush(self) -> None:
        """Write what waits; called once at the end of a batch after :meth:`Reactor.dirty`."""
        raise NotImplementedError

    def broken(self, error: Exception) -> None:
        """End after a bug of ours."""
        raise NotImplementedError
