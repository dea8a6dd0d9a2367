"""Which route a call takes: the longest match of those that hold at its time."""

from __future__ import annotations

from datetime import datetime

import pytest

from sipmesh.routing.numbers.number_routes import named_first, named_only, route_for, routes_of, trunks_in, with_trunks
from sipmesh.routing.numbers.trunk_table import TrunkRoute
from sipmesh.sip.uri import SipUri
from sipmesh.topology.document.parts.numbers import Numbers

ALICE, BOB = "sip:alice@example.test", "sip:bob@example.test"
ROUTES = routes_of(
    Numbers.model_validate(
        {
            "time_zone": "Europe/Berlin",
            "routes": [
                {"name": "night", "numbers": ["+"], "trunks": ["a.test"], "hours": "18:00-08:00", "days": ["fri"]},
                {"name": "abroad", "numbers": ["+"], "trunks": ["b.test"], "users": ["bob@example.test"]},
                {"name": "paris", "numbers": ["+33"], "trunks": ["c.test"], "sites": ["paris"]},
                {"name": "day", "numbers": ["+49"], "trunks": ["d.test"], "hours": "09:00-17:00", "time_zone": "UTC"},
            ],
        }
    )
)


@pytest.mark.parametrize(
    ("number", "user", "site", "at", "name"),
    [
        ("+4930123456", ALICE, "", "2027-01-01T18:00+01:00", "night"),  # a Friday
        ("+4930123456", ALICE, "", "2027-01-02T07:59+01:00", "night"),  # its night ends on Saturday
        ("+4930123456", ALICE, "", "2027-01-02T08:00+01:00", ""),
        ("+4930123456", ALICE, "", "2027-01-01T07:59+01:00", ""),  # that is the night of Thursday
        ("+4930123456", ALICE, "", "2027-01-01T16:59+01:00", "day"),
        ("+4930123456", ALICE, "", "2027-01-01T09:59+01:00", ""),
        ("+33123456789", BOB, "", "2027-01-02T12:00+01:00", "abroad"),
        ("+33123456789", BOB, "paris", "2027-01-02T12:00+01:00", "paris"),
        ("+33123456789", ALICE, "berlin", "2027-01-02T12:00+01:00", ""),
        ("+33123456789", None, "", "2027-01-02T12:00+01:00", ""),
        ("+33123456789", BOB, "", "2027-01-01T19:00+01:00", "night"),
    ],
)
def test_route_is_that_of_number_caller_site_and_time(
    number: str, user: str | None, site: str, at: str, name: str
) -> None:
    found = route_for(ROUTES, number, user, site, datetime.fromisoformat(at))
    assert (found.name if found is not None else "") == name


def test_request_uri_names_the_trunks_in_their_order() -> None:
    uri = with_trunks("sip:+493012345@example.test;user=phone", ["b.test", "a.test"])
    assert trunks_in(SipUri.parse(uri)) == ("b.test", "a.test")
    assert trunks_in(SipUri.parse(with_trunks("sip:+493012345@example.test;user=phone", ()))) == ()
    a, b, c = (TrunkRoute(f"{name}.test", "gw", (), ("+",)) for name in "abc")
    assert named_only((a, b, c), trunks_in(SipUri.parse(uri))) == [b, a]
    assert named_first((a, b, c), ("c.test", "gone.test")) == [c, a, b]
