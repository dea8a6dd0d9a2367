"""Contradictions: sites that type numbers in their own way, extensions, and routes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from topology.contradictions import must_report

if TYPE_CHECKING:
    from topology.world import Place

POLICE = "{service: sos.police, number: '110'}"
ROUTE = "name: a, numbers: ['+1'], trunks: [x.test]"


@pytest.mark.parametrize(
    ("numbers", "field", "reason"),
    [
        ("sites: [{site: nowhere}]", "numbers.sites[0].site", "is not one of `sites`"),
        ("sites: [{site: a, users: [x@a.test]}]", "numbers.sites[0].users[0]", "SIP domains"),
        ("sites: [{site: a, emergency_trunks: [x.test]}]", "numbers.sites[0].emergency_trunks[0]", "is not a trunk"),
        ("sites: [{site: a}, {site: a}]", "numbers.sites[1].site", "has an entry already"),
        (
            "sites: [{site: a, users: [x@example.test]}, {site: b, users: [x@example.test]}]",
            "numbers.sites[1].users[0]",
            "is at the site a already",
        ),
        ("sites: [{site: a, emergency: ['15']}]", "numbers.sites[0].emergency", "no trunk takes calls"),
        (
            "extensions: [{digits: 4, numbers: '+4930'}, {prefix: '8', digits: 3, numbers: '+4989'}]",
            "numbers.extensions[1]",
            "may be for 4 digits for +4930 too",
        ),
        (f"emergency_services: [{POLICE}]", "numbers.emergency_services[0].number", "is not one of `emergency`"),
        (
            f"emergency: ['110'], emergency_services: [{POLICE}, {POLICE}]",
            "numbers.emergency_services[1].service",
            "has a number already",
        ),
        (
            f"emergency: ['110'], sites: [{{site: a, emergency: ['15'], emergency_services: [{POLICE}]}}]",
            "numbers.sites[0].emergency_services[0].number",
            "is not one of `emergency`",
        ),
        (f"routes: [{{{ROUTE}}}]", "numbers.routes[0].trunks[0]", "is not a trunk"),
        (f"routes: [{{{ROUTE}, sites: [nowhere]}}]", "numbers.routes[0].sites[0]", "is not one of `sites`"),
        (f"routes: [{{{ROUTE}, users: [x@a.test]}}]", "numbers.routes[0].users[0]", "SIP domains"),
        (f"routes: [{{{ROUTE}}}, {{{ROUTE}}}]", "numbers.routes[1].name", "another route"),
    ],
)
def test_contradiction_is_reported_at_its_place(place: Place, numbers: str, field: str, reason: str) -> None:
    must_report(place, "federation:\n", f"sites: [a, b]\nnumbers: {{{numbers}}}\nfederation:\n", field, reason)
