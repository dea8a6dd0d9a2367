"""Contradictions: trunks, their gateway and their names."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from topology.contradictions import USAGE, must_report

if TYPE_CHECKING:
    from topology.world import Place

TRUNK = "federation.partners[1]"


@pytest.mark.parametrize(
    ("more", "field", "reason"),
    [
        ("trunk: {gateway: gw.example.test}", f"{TRUNK}.trunk.gateway", "is not a pool"),
        ("trunk: {gateway: sip.example.test}", f"{TRUNK}.trunk.gateway", "is a pool of role edge, not gateway"),
        ("trunk: {gateway: gw.example.test}", f"{TRUNK}.domains", "a trunk has one name"),
        ("trunk: {gateway: gw.example.test}\n      identity: sign", f"{TRUNK}.identity", "signs no calls"),
    ],
)
def test_contradiction_is_reported_at_its_place(place: Place, more: str, field: str, reason: str) -> None:
    must_report(place, USAGE, f"{USAGE}\n      {more}", field, reason)


@pytest.mark.parametrize(
    ("numbers", "field", "reason"),
    [
        ("emergency: ['112']", "numbers.emergency", "no trunk takes calls to these numbers"),
        (
            "classes: [{name: a, numbers: ['+1']}, {name: a, numbers: ['+2']}]",
            "numbers.classes[1].name",
            "another class",
        ),
        (
            "classes: [{name: a, numbers: ['+1']}, {name: b, numbers: ['+1']}]",
            "numbers.classes[1].numbers[0]",
            "class a",
        ),
        ("classes: [{name: a, numbers: ['+1'], users: [x@a.test]}]", "numbers.classes[0].users[0]", "SIP domains"),
    ],
)
def test_contradiction_of_numbers_is_reported_at_its_place(place: Place, numbers: str, field: str, reason: str) -> None:
    must_report(place, "federation:\n", f"numbers: {{{numbers}}}\nfederation:\n", field, reason)


def test_trunk_with_a_gateway_and_one_name_is_valid(place: Place) -> None:
    gateway = "  - {name: gw.example.test, role: gateway, servers: [gw1.example.test], next_hop: pool1.example.test}\n"
    place.spoil(
        ("federation:\n", f"{gateway}federation:\n"),
        ("[other.test, second.test]", "[other.test]"),
        (USAGE, f"{USAGE}\n      trunk: {{gateway: gw.example.test, asserts: ['+'], carries: ['+49']}}"),
    )
    [trunk] = place.load().topology.federation.trunks_of("gw.example.test")
    assert trunk.name == "other.test"
