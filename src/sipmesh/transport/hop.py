"""Where a request goes next, by the identity that is meant; addresses are only ways to get there."""

from __future__ import annotations

from dataclasses import dataclass

from sipmesh.trust.evidence import LinkKind


@dataclass(frozen=True, slots=True)
class Hop:
    """A reference identity and how to find it.

    *name* is what the configuration or the SIP URI asked for, never what DNS returned (RFC 5922 4). *addresses* are
    tried in order; a host of None or a host that is no IP address is asked of DNS. Without addresses the hop is
    located by *service* (``sips`` or ``sipfederationtls``) and, where that allows it, by *port* (RFC 3263 4.2).
    """

    name: str
    kind: LinkKind
    addresses: tuple[tuple[str | None, int], ...] | None = None
    service: str | None = None
    port: int | None = None
