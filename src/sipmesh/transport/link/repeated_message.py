"""A message that the peer of a link sends again and again, and that is answered from its octets."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mypy_extensions import mypyc_attr

if TYPE_CHECKING:
    from sipmesh.transport.link.link import Link


@mypyc_attr(allow_interpreted_subclasses=True)
class RepeatedMessage:
    """Answers a message that was read before; a base class for the same reason as `watched.Watched`."""

    __slots__ = ()

    def serves(self, link: Link, octets: bytes) -> bool:
        """Answer *octets*, which came together on *link*, if they are this one message, whole; otherwise do nothing: False."""
        raise NotImplementedError
