"""Trunks that protect less than others, or leave all channels to one user, are a warning of `topology check`, and no problem."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from topology.contradictions import USAGE

if TYPE_CHECKING:
    from topology.world import Place

GATEWAY = "  - {name: gw.example.test, role: gateway, servers: [gw1.example.test], next_hop: pool1.example.test, rtpengine: 1}\n"
TRUNK = "federation.partners[1].trunk"


CHALLENGE = "port: 5071, calls_per_second: 9, challenge: {user: a, secret_file: secrets/a, networks: [192.0.2.0/24]}"


@pytest.mark.parametrize(("keys", "fields"), [(CHALLENGE, [f"{TRUNK}.challenge"]), ("port: 5071", [])])
def test_trunk_without_a_certificate_is_a_warning(place: Place, keys: str, fields: list[str]) -> None:
    place.spoil(
        ("federation:\n", f"{GATEWAY}federation:\n"),
        ("[other.test, second.test]", "[other.test]"),
        (USAGE, f"{USAGE}\n      trunk: {{gateway: gw.example.test, {keys}}}"),
    )
    _, warnings = place.check()
    told = [one for one in warnings if one.field.startswith(TRUNK)]
    assert [one.field for one in told] == fields
    assert all("connects without a certificate" in one.reason for one in told)


@pytest.mark.parametrize(("keying", "fields"), [("none", [f"{TRUNK}.keying"]), ("sdes", []), ("dtls", [])])
def test_media_in_the_clear_are_a_warning(place: Place, keying: str, fields: list[str]) -> None:
    place.spoil(
        ("federation:\n", f"{GATEWAY}federation:\n"),
        ("[other.test, second.test]", "[other.test]"),
        (USAGE, f"{USAGE}\n      trunk: {{gateway: gw.example.test, keying: {keying}}}"),
    )
    _, warnings = place.check()
    assert [one.field for one in warnings if one.field.startswith(TRUNK)] == fields


@pytest.mark.parametrize(
    ("channels", "numbers", "told"),
    [
        ("channels: 30", "", "not at all"),
        ("channels: 30", "numbers: {per_user: {minutes: 600}}\n", "not at all"),
        ("channels: 4", "numbers: {per_user: {calls: 4}}\n", "at 4"),
        ("channels: 5", "numbers: {per_user: {calls: 4}}\n", ""),
        ("channels: 1", "", ""),
        ("priority: 1", "", ""),
    ],
)
def test_channels_that_one_user_can_hold_are_a_warning(place: Place, channels: str, numbers: str, told: str) -> None:
    place.spoil(
        ("federation:\n", f"{GATEWAY}{numbers}federation:\n"),
        ("[other.test, second.test]", "[other.test]"),
        (USAGE, f"{USAGE}\n      trunk: {{gateway: gw.example.test, {channels}}}"),
    )
    _, warnings = place.check()
    found = [one for one in warnings if one.field.startswith(TRUNK)]
    assert [one.field for one in found] == ([f"{TRUNK}.channels"] if told else [])
    assert all(one.reason.endswith(told) for one in found)
