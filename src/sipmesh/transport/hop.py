"""The next hop of a request, by the identity that is meant; addresses only say how to reach it."""

from __future__ import annotations

from dataclasses import dataclass, replace

from sipmesh.trust.evidence import LinkKind


@dataclass(frozen=True, slots=True)
class Hop:
    """A reference identity and how to find it.

    *name* is what the configuration or the SIP URI asked for, never what DNS returned (RFC 5922 4). *addresses* are
    (host, port) and tried in order. DNS is asked for a host that is no IP address, and for *name* if the host is None.
    Without *addresses*, DNS locates the hop by *service* (``sips`` or ``sipfederationtls``) and by *port* (RFC 3263 4.2).
    *control*: the link is for the control plane alone, and says so. *listener* is the key of the port whose name and number we
    have for the peer; empty for that of *kind*.
    """

    name: str
    kind: LinkKind
    addresses: tuple[tuple[str | None, int], ...] | None = None
    service: str | None = None
    port: int | None = None
    control: bool = False
    listener: str = ""

    def __hash__(self) -> int:
        return hash(self.name)  # links are found by their hop for each message

    def for_control(self) -> Hop:
        """Return the same hop, for a link for the control plane alone."""
        return replace(self, control=True)
