"""The next hop of a request, by the identity that is meant; addresses only say how to reach it."""

from __future__ import annotations

from dataclasses import dataclass

from sipmesh.trust.evidence import LinkKind


@dataclass(frozen=True, slots=True)
class Hop:
    """A reference identity and how to find it.

    *name* is what the configuration or the SIP URI asked for, never what DNS returned (RFC 5922 4). *addresses* are
    (host, port) and tried in order. DNS is asked for a host that is no IP address, and for *name* if the host is None.
    Without *addresses*, DNS locates the hop by *service* (``sips`` or ``sipfederationtls``) and by *port* (RFC 3263 4.2).
    """

    name: str
    kind: LinkKind
    addresses: tuple[tuple[str | None, int], ...] | None = None
    service: str | None = None
    port: int | None = None
