"""A hop is identified by its name, its kind and its addresses."""

from __future__ import annotations

from sipmesh.transport.hop import Hop
from sipmesh.trust.evidence import LinkKind


def test_hop_is_equal_by_name_kind_and_addresses() -> None:
    """The pool of links finds a link by its hop."""
    hop = Hop("fe1.example.test", LinkKind.SERVER, (("127.0.0.1", 5062),))
    assert hop == Hop("fe1.example.test", LinkKind.SERVER, (("127.0.0.1", 5062),))
    assert len({hop, Hop("fe1.example.test", LinkKind.PARTNER, hop.addresses), Hop(hop.name, hop.kind)}) == 3
