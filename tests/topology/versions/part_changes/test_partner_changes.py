"""Changes of partners and of the way to them."""

from __future__ import annotations

import pytest

from sipmesh.topology.versions.difference import difference
from topology.changed_text import back, loaded, told
from topology.world import PARTNER_ENTRY, Place


def test_new_partner_is_described_with_its_anchor(place: Place) -> None:
    assert told(place, (PARTNER_ENTRY, "")) == ["partner partner.test may no longer connect"]
    (line,) = back(place, (PARTNER_ENTRY, ""))
    assert line.startswith(
        "partner partner.test may now connect with partner.test, sip.partner.test, under CN=Partner Root"
    )
    assert "(SHA-256 " in line


def test_partner_whose_edge_has_the_name_of_its_domain_is_named_once(place: Place) -> None:
    """So it is with most trunks."""
    trunk = PARTNER_ENTRY.replace("sip.partner.test", "partner.test")
    (line,) = difference(loaded(place, (PARTNER_ENTRY, "")), loaded(place, (PARTNER_ENTRY, trunk)))
    assert line.startswith("partner partner.test may now connect with partner.test, under CN=Partner Root")


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        ("client_usage: server-ok", "client_usage: strict", "must now connect with a certificate for clientAuth"),
        ("client_usage: server-ok", "client_usage: server-ok\n      third_party: true", "other organisations also"),
        ("domains: [other.test, second.test]", "domains: [second.test, other.test]", "is now called second.test"),
    ],
)
def test_key_of_a_partner_has_words(place: Place, old: str, new: str, line: str) -> None:
    assert any(line in one for one in told(place, (old, new)))
    assert back(place, (old, new))


def test_partner_that_comes_says_what_its_certificate_may_lack(place: Place) -> None:
    also = "client_usage: server-ok\n      third_party: true"
    other = ("client_usage: server-ok", also)
    assert any("this partner only" in line for line in back(place, other))
    lines = told(place, ("domains: [other.test, second.test]", "domains: [third.test, fourth.test]"), other)
    assert lines[0].startswith("partner other.test may no longer connect")
    assert lines[1].endswith(", of a third-party CA, with a certificate for serverAuth only")


def test_blocked_name_and_route_have_words(place: Place) -> None:
    assert told(place, ("blocked: [evil.test]", "blocked: [bad.test]")) == [
        "evil.test is no longer blocked",
        "bad.test is blocked",
    ]
