"""What sees each message of the links of one process, as long as an operator traces."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mypy_extensions import mypyc_attr

if TYPE_CHECKING:
    from sipmesh.sip.message import Request, Response
    from sipmesh.transport.registry.registered_link import RegisteredLink


@mypyc_attr(allow_interpreted_subclasses=True)
class Tap:
    """Sees the messages of all links of one reactor (`Reactor.tap`); a base class for the same reason as `watched.Watched`."""

    __slots__ = ()

    def received(self, link: RegisteredLink, message: Request | Response) -> None:
        """*link* has delivered *message*, which is served after this call."""
        raise NotImplementedError

    def sent(self, link: RegisteredLink, data: bytes) -> None:
        """*link* has queued *data*: whole messages, a keepalive, or a frame of a WebSocket."""
        raise NotImplementedError
