"""Contradictions: names: each has one owner, and is in each list once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from topology.contradictions import FE3, POOL2, must_report

if TYPE_CHECKING:
    from topology.world import Place


@pytest.mark.parametrize(
    ("old", "new", "field", "reason"),
    [
        (FE3, "servers: [fe1.example.test]", "pools[1].servers[0]", "already the name of pools[0].servers[0]"),
        (FE3, "servers: [FE3.example.test, fe3.example.test]", "pools[1].servers[1]", "already the name of"),
        (FE3, "servers: [pool1.example.test]", "pools[1].servers[0]", "already the name of pools[0].name"),
        (FE3, "servers: [pool2.example.test, fe3.example.test]", "pools[1].servers[0]", "already the name of"),
        (FE3, "servers: [example.test]", "pools[1].servers[0]", "is a SIP domain"),
        (POOL2, "name: pool1.example.test\n    role: front-end", "pools[1].name", "already the name of pools[0]"),
        ("edge-int.example.test", "fe1.example.test", "pools[2].internal_name", "already the name of"),
        ("[example.test]  # ours", "[example.test, Example.test]", "sip_domains[1]", "named twice"),
        ("[evil.test]", "[evil.test, evil.test]", "federation.blocked[1]", "named twice"),
        (
            "[evil.test]",
            "[partner.test]",
            "federation.blocked[0]",
            "is also allowed (federation.partners[0].domains[0]",
        ),
        ("[evil.test]", "[sip.partner.test]", "federation.blocked[0]", "is also allowed (federation.partners[0].edge"),
        ("[evil.test]", "[example.test]", "federation.blocked[0]", "is also allowed (sip_domains[0]"),
        ("[other.test, second.test]", "[other.test, partner.test]", "federation.partners[1].domains[1]", "another"),
        ("[other.test, second.test]", "[sip.partner.test]", "federation.partners[1].domains[0]", "another partner"),
        ("[other.test, second.test]", "[other.test, other.test]", "federation.partners[1].domains[1]", "named twice"),
        ("[other.test, second.test]", "[example.test]", "federation.partners[1].domains[0]", "is a name of our own"),
        ("edge: sip.partner.test", "edge: sip.example.test", "federation.partners[0].edge", "is a name of our own"),
        ("edge: sip.partner.test", "edge: fe1.example.test", "federation.partners[0].edge", "is a name of our own"),
        (POOL2, f"{POOL2}\n    site: berlin", "pools[1].site", "is not one of `sites`"),
        (FE3, "servers: [{name: fe3.example.test, site: paris}]", "pools[1].servers[0].site", "is not one of `sites`"),
        ("  # ours", "\nsites: [berlin, Berlin]", "sites[1]", "named twice"),
    ],
)
def test_contradiction_is_reported_at_its_place(place: Place, old: str, new: str, field: str, reason: str) -> None:
    must_report(place, old, new, field, reason)
