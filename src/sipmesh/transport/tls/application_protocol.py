"""What a link between servers is for, as its opener says in the handshake (ALPN, RFC 7301).

Both ends know it before the first SIP octet. It only restricts what the link is used for. It is no evidence: the listener and the
certificate alone decide what a link is and who the peer is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sipmesh.trust.evidence import LinkKind

if TYPE_CHECKING:
    from sipmesh.transport.hop import Hop

SIP: Final = "sip/2"
"""A link for all requests; the name is that of the IANA registry."""

CONTROL: Final = "sipmesh-control"
"""A link for the control plane alone: the process that has opened it does not forward requests."""

KNOWN: Final = frozenset({SIP, CONTROL})


def offered_to(hop: Hop) -> str:
    """Return what to say on a link to *hop*; "" to a partner, whose server may be of any make."""
    if hop.kind is not LinkKind.SERVER:
        return ""
    return CONTROL if hop.control else SIP


def is_for_control(said: str, processes: int) -> bool:
    """Tell whether an accepted link is for the control plane alone; *processes* are those of the server that has opened it.

    An older release says nothing. If its server has workers, the link may be that of a supervisor, which answers no request.
    """
    return said == CONTROL or (not said and processes > 1)
