"""Which links a change allows and forbids."""

from __future__ import annotations

from sipmesh.topology.builder.link_changes import AllowedLink, allowed_links, in_words, link_changes
from sipmesh.trust.evidence import LinkKind
from topology.world import PARTNER_ENTRY, Place

SERVER, PARTNER = LinkKind.SERVER, LinkKind.PARTNER


def test_every_allowed_link_is_that_of_a_policy(place: Place) -> None:
    links = allowed_links(place.load())
    assert AllowedLink("fe1.example.test", "edge1.example.test", SERVER) in links
    assert AllowedLink("sip.partner.test", "edge1.example.test", PARTNER) in links
    assert AllowedLink("edge1.example.test", "bot.example.test", SERVER) not in links
    assert AllowedLink("fe3.example.test", "fe1.example.test", SERVER) in links


def test_moved_next_hop_ends_some_links_and_begins_others(place: Place) -> None:
    before = place.load()
    place.spoil(("    internal_name: edge-int.example.test\n    next_hop: pool1", "    next_hop: pool2"))
    after = place.load()
    changes = link_changes(before, after)
    assert changes.appear == [AllowedLink("edge1.example.test", "fe3.example.test", SERVER)]
    assert in_words(changes.appear, after) == ["sip.example.test → pool2.example.test: 1 server link"]
    assert in_words(changes.die, before) == ["sip.example.test → pool1.example.test: 2 server links"]


def test_partner_that_is_blocked_loses_its_link(place: Place) -> None:
    before = place.load()
    place.spoil(
        (f"    # our oldest friend\n{PARTNER_ENTRY}", ""),
        ("[evil.test]", "[evil.test, partner.test]"),
    )
    changes = link_changes(before, place.load())
    assert changes.die == [AllowedLink("sip.partner.test", "edge1.example.test", PARTNER)]
    assert changes.appear == []
