"""When a server fails if nothing is renewed."""

from __future__ import annotations

from dataclasses import replace

from sipmesh.topology.expiry.countdown import Countdown, ExpectedRefusal, refuses_from
from sipmesh.topology.expiry.validity import Chain
from topology.expiry.test_inventory import DAY, FE1, FE2, ISSUING, chain, use
from topology.world import NOON, Place


def test_server_refuses_from_its_first_expiry(place: Place) -> None:
    loaded = place.load()
    root = "CN=Example Root CA,O=Example"
    whole = use(loaded, FE1, chain(FE1))
    assert refuses_from(whole) == ExpectedRefusal(NOON + 7 * DAY, f"the end of the CRL of {ISSUING.subject}")
    assert refuses_from(use(loaded, FE1, chain(FE1, 2 * DAY))) == ExpectedRefusal(
        NOON + 2 * DAY, "the end of its certificate"
    )
    year = tuple(replace(one, ends=NOON + 2000 * DAY) for one in whole.lists)
    assert refuses_from(replace(whole, lists=year, shown={False: chain(FE1, 1000 * DAY)})) == ExpectedRefusal(
        NOON + 900 * DAY, f"the end of the issuing CA {ISSUING.subject}"
    )
    without = tuple(one for one in whole.lists if one.subject != root)
    assert refuses_from(replace(whole, lists=without)) == ExpectedRefusal(None, f"there is no CRL of {root}")
    assert refuses_from(replace(whole, shown={})).at is None


def test_newer_crl_is_used_and_partner_crls_are_ignored(place: Place) -> None:
    whole = use(place.load(), FE1, chain(FE1))
    older = [replace(one, number="0", ends=one.ends - 6 * DAY) for one in whole.lists if one.subject == ISSUING.subject]
    partners = [replace(one, ends=NOON) for one in whole.lists if "Example" not in one.subject]
    found = refuses_from(replace(whole, lists=(*older, *partners, *whole.lists)))
    assert found.at == NOON + 7 * DAY


def test_countdown_says_who_stops_when_and_because_of_what() -> None:
    told = Countdown(FE1, NOON + 2 * DAY, "its certificate", (FE2,))
    assert told.sentence(NOON) == (
        "If the CA renews nothing any more, fe1.example.test stops first, in 2 d (2026-11-26 12:00:00Z), when its certificate "
        "expires. At the same time: fe2.example.test."
    )
    assert "stopped 1 d ago" in replace(told, others=()).sentence(NOON + 3 * DAY)


def test_root_of_the_server_counts_too(place: Place) -> None:
    """With several roots of one name, the root that expires last counts."""
    whole = use(place.load(), FE1, chain(FE1))
    late = tuple(replace(one, ends=NOON + 2000 * DAY) for one in whole.lists)
    roots = tuple(replace(one, ends=NOON + days * DAY) for one in whole.anchors for days in (1, 3))
    found = refuses_from(replace(whole, lists=late, anchors=roots))
    assert found.at == NOON + 3 * DAY
    assert found.because.startswith("the end of the root CN=Example Root CA")


def test_server_without_a_certificate_refuses_already(place: Place) -> None:
    empty = replace(use(place.load(), FE1, chain(FE1)), shown={False: Chain("servers/fe1.pem")})
    assert refuses_from(empty) == ExpectedRefusal(None, "it presents no certificate")
