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


GATEWAY = "  - {name: gw.example.test, role: gateway, servers: [gw1.example.test], next_hop: pool1.example.test%s}\nfederation:\n"
PAGES = """\
  - {name: mgmt.example.test, role: management, servers: [mgmt.example.test]}
invitations: {listen: 9443, name: join.example.test, certificate: servers/join.pem, key: servers/join.key}
federation:
"""
NAMED = GATEWAY.replace("federation:\n", PAGES)
KEYED = "\n      trunk: {gateway: gw.example.test, keying: none}"


def test_keying_needs_rtpengine_beside_the_gateway(place: Place) -> None:
    one_name = ("[other.test, second.test]", "[other.test]")
    place.spoil(("federation:\n", GATEWAY % ""), one_name, (USAGE, USAGE + KEYED))
    [problem] = place.problems()
    assert (problem.field, problem.reason) == (
        f"{TRUNK}.trunk.keying",
        "the gateway gw.example.test has no `rtpengine`, which keys the media",
    )


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
        ("classes: [{name: a}]", "numbers.classes[0]", "no number is in it"),
        ("classes: [{name: a, countries: [XX]}]", "numbers.classes[0].countries[0]", "is no country"),
        (
            "classes: [{name: a, countries: [AT]}, {name: b, countries: [DE, AT]}]",
            "numbers.classes[1].countries[1]",
            "class a",
        ),
        (
            "classes: [{name: a, kinds: [premium]}, {name: b, kinds: [premium]}]",
            "numbers.classes[1].kinds[0]",
            "class a",
        ),
        ("classes: [{name: a, numbers: ['+1'], users: [x@a.test]}]", "numbers.classes[0].users[0]", "SIP domains"),
    ],
)
def test_contradiction_of_numbers_is_reported_at_its_place(place: Place, numbers: str, field: str, reason: str) -> None:
    must_report(place, "federation:\n", f"numbers: {{{numbers}}}\nfederation:\n", field, reason)


@pytest.mark.parametrize(
    ("keys", "field", "reason"),
    [
        ("port: 5071, challenge: {CHALLENGE}", "challenge", "needs `calls_per_second`"),
        ("calls_per_second: 9, challenge: {CHALLENGE}", "challenge", "needs `port`"),
        ("host: sip.example.test", "host", "is another name in this topology"),
        ("host: sip.partner.test", "host", "is another name in this topology"),
        ("host: edge-int.example.test", "host", "is another name in this topology"),
        ("host: join.example.test", "host", "is another name in this topology"),
    ],
)
def test_trunk_without_a_certificate_is_bounded_and_our_name_is_no_other(
    place: Place, keys: str, field: str, reason: str
) -> None:
    challenge = "user: a, secret_file: secrets/a, networks: [192.0.2.0/24]"
    more = f"trunk: {{gateway: gw.example.test, {keys.replace('CHALLENGE', challenge)}}}"
    place.spoil(
        ("federation:\n", NAMED % ""),
        ("[other.test, second.test]", "[other.test]"),
        (USAGE, f"{USAGE}\n      {more}"),
    )
    [problem] = place.problems()
    assert (problem.field, reason in problem.reason) == (f"{TRUNK}.trunk.{field}", True)


@pytest.mark.parametrize("stir", ["anchors: [partners/sti.pem]", "incoming: require, hosts: [c.test]"])
def test_signatures_without_roots_or_hosts_are_reported(place: Place, stir: str) -> None:
    more = f"trunk: {{gateway: gw.example.test, stir: {{{stir}}}}}"
    must_report(place, USAGE, f"{USAGE}\n      {more}", f"{TRUNK}.trunk.stir", "no signature is valid")


def test_trunk_with_a_gateway_and_one_name_is_valid(place: Place) -> None:
    gateway = "  - {name: gw.example.test, role: gateway, servers: [gw1.example.test], next_hop: pool1.example.test}\n"
    place.spoil(
        ("federation:\n", f"{gateway}federation:\n"),
        ("[other.test, second.test]", "[other.test]"),
        (USAGE, f"{USAGE}\n      trunk: {{gateway: gw.example.test, asserts: ['+'], carries: ['+49']}}"),
    )
    [trunk] = place.load().topology.federation.trunks_of("gw.example.test")
    assert trunk.name == "other.test"
