"""What a server says of itself to management: its certificate, its links, and until when it could go on alone."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from cryptography.hazmat.primitives.hashes import SHA256

from sipmesh.topology.inventory import refuses_from
from sipmesh.transport.link import LinkState
from sipmesh.trust.evidence import LinkKind
from sipmesh.trust.explain import headline

if TYPE_CHECKING:
    from sipmesh.server.node import Node

MOST_REFUSALS = 5
LATELY = timedelta(minutes=10)


def standing(node: Node) -> dict[str, Any]:
    """Tell it in values that JSON has; instants are ISO 8601 in UTC."""
    at = datetime.now(UTC)
    leaf, *above = node.shown.of(LinkKind.SERVER).chain
    links = [link for link in node.pool.all() if link.state is LinkState.UP]
    refusal = refuses_from(node.use())
    refusals = [one for one in node.gatekeeper.refused() if at - one.at <= LATELY and one.kind is not LinkKind.CLIENT]
    return {
        "started_at": datetime.fromtimestamp(node.started_at, UTC).isoformat(),
        "certificate": {
            "serial": f"{leaf.serial_number:x}",
            "ends": leaf.not_valid_after_utc.isoformat(),
            "issuer": leaf.issuer.rfc4514_string(),
            "under": (above[-1] if above else leaf).issuer.rfc4514_string(),
        },
        "certificate_fault": next(node.shown.faults, ""),
        "refuses_from": refusal.at.isoformat() if refusal.at is not None else None,
        "refuses_because": refusal.because,
        "links": {str(kind): sum(link.kind is kind for link in links) for kind in LinkKind},
        "peers": sorted({link.peer_name for link in links if link.peer_name}),
        "refused": [headline(one) for one in refusals[:MOST_REFUSALS]],
        "anchors": sorted(anchors_in_use(node)),
    }


def anchors_in_use(node: Node) -> set[str]:
    """The anchors on which links of users' traffic stand now or our own certificate does, by SHA-256 fingerprint in hex.

    The reserved links are left out: they come back by themselves, and nothing is lost with them.
    """
    loaded = node.view.loaded
    issuers = {
        issuer
        for link in node.pool.all()
        if link.verdict is not None and not link.reserved
        for issuer, _ in link.verdict.relied_on
    }
    issuers |= {one.issuer.public_bytes() for one in node.shown.of(LinkKind.SERVER).chain}
    anchors = (anchor for authority in (loaded.authority, *loaded.partners) for anchor in authority.anchors)
    return {anchor.fingerprint(SHA256()).hex() for anchor in anchors if anchor.subject.public_bytes() in issuers}
