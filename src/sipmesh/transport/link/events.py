"""What a link calls: the server layer, the stage that sets the link up, and the opener of the link."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from mypy_extensions import mypyc_attr

if TYPE_CHECKING:
    from sipmesh.errors import RemoteError
    from sipmesh.sip.framing import FramingError
    from sipmesh.sip.message import Request, Response
    from sipmesh.transport.link.link import Link
    from sipmesh.trust.evidence import PeerEvidence
    from sipmesh.trust.verdict import Verdict


@mypyc_attr(allow_interpreted_subclasses=True)
class LinkEvents:
    """What a link reports to the server layer; a base class for the same reason as `watched.Watched`.

    ``link_down`` comes once for each link that was up and for each link that we opened. It comes at the end of a batch,
    never during a call to the link. ``refused`` comes once for each refused verdict, on accepted and on opened links.
    """

    __slots__ = ()

    def judge(self, link: Link, evidence: PeerEvidence) -> Verdict:
        """Judge the peer; also called for failed handshakes, and again for a peer that refused us late."""
        raise NotImplementedError

    def link_up(self, link: Link) -> None:
        """The link is up: its verdict accepts the peer."""
        raise NotImplementedError

    def arrived(self, link: Link, message: Request | Response) -> None:
        """One whole message has arrived; the callee may close the link."""
        raise NotImplementedError

    def faulty(self, link: Link, fault: FramingError) -> bytes | None:
        """The stream cannot be framed any more; return what to answer before the link closes, or None."""
        raise NotImplementedError

    def upgrade_refused(self, link: Link, refusal: RemoteError) -> None:
        """The peer of a WebSocket port has asked for no WebSocket, or may not open one; the link closes after the answer."""
        raise NotImplementedError

    def link_down(self, link: Link, why: str, verdict: Verdict | None) -> None:
        """The link has ended; the code of *verdict* is ``refused-by-peer`` if the peer closed before its first SIP byte."""
        raise NotImplementedError

    def refused(self, verdict: Verdict) -> None:
        """We refused a peer, or a peer refused us."""
        raise NotImplementedError


class LinkStage(Protocol):
    """What drives a link until it is up: the handshake of an accepted link, or the dial of an opened link."""

    def ready(self, mask: int) -> None:
        """Act on epoll's *mask*."""

    def due(self, now: float) -> None:
        """Act on the link's alarm."""

    def abandon(self) -> None:
        """Stop, because the link was closed."""


class Opener(Protocol):
    """What opened a link, and has to know if the peer refused the link late."""

    def refused_late(self, link: Link) -> None:
        """The peer closed *link* before its first SIP byte."""
