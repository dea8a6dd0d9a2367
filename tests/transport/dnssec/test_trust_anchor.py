"""Trust anchors: the nearest zone above a name counts."""

from __future__ import annotations

import dns.name

from sipmesh.transport.dnssec.trust_anchor import anchors_of, nearest

DIGEST = "ab" * 32


def test_nearest_anchor_above_a_name_counts() -> None:
    anchors = anchors_of([f". 1 8 2 {DIGEST}", f"test. 2 13 2 {DIGEST}", f"test. 3 13 2 {DIGEST}"])
    assert nearest(anchors, dns.name.from_text("a.test")) == dns.name.from_text("test")
    assert nearest(anchors, dns.name.from_text("nottest")) == dns.name.root
    assert [ds.key_tag for ds in anchors[dns.name.from_text("test")]] == [2, 3]
    assert nearest(anchors_of([f"test. 2 13 2 {DIGEST}"]), dns.name.from_text("nottest")) is None
