"""Whose numbers are typed in which way: users are at the site that names them, or at that of their home pool."""

from __future__ import annotations

import pytest

from sipmesh.routing.numbers.dial_plan import DialPlan, ExtensionRange
from sipmesh.routing.numbers.site_plans import SitePlan, SitePlans, site_plan
from sipmesh.topology.document.parts.dialling import SiteNumbers
from sipmesh.topology.document.parts.numbers import Numbers

ALICE, BOB = "sip:alice@example.test", "sip:bob@example.test"
BERLIN = DialPlan(country="49", emergency=frozenset({"112", "110"}), extensions=(ExtensionRange("", 3, "+4930123"),))
POLICE = {"service": "sos.police", "number": "110"}
NUMBERS = Numbers.model_validate({"emergency": ["112", "110"], "emergency_services": [POLICE]})
PARIS_SAYS = {"site": "paris", "country": "33", "emergency": ["15", "112"]}
PARIS = site_plan(BERLIN, SiteNumbers.model_validate(PARIS_SAYS), NUMBERS)
PLANS = SitePlans(SitePlan("", BERLIN), {"paris": PARIS}, {BOB: "paris"}, {"pool2.example.test": "paris"})


@pytest.mark.parametrize(
    ("user", "home", "site"),
    [(ALICE, "pool1", ""), (ALICE, "pool2.example.test", "paris"), (BOB, "pool1", "paris"), (None, "pool1", "")],
)
def test_user_is_at_the_named_site_or_at_that_of_the_home_pool(user: str | None, home: str, site: str) -> None:
    assert PLANS.of(user, home).name == site


def test_site_has_what_it_says_and_the_rest_in_common() -> None:
    plan = PARIS.plan
    assert (plan.completed("0123456789"), BERLIN.completed("0123456789")) == ("+33123456789", "+49123456789")
    assert (plan.national, plan.international, plan.extensions) == ("0", "00", BERLIN.extensions)
    assert plan.emergency == {"15", "112"}


def test_gateway_knows_the_emergency_numbers_of_all_sites_and_no_extension() -> None:
    """A trunk that asserts 042 as its caller must not become one of our numbers."""
    plan = PLANS.at_trunks()
    assert plan.emergency == {"112", "110", "15"}
    assert plan.completed("042") == ""


@pytest.mark.parametrize(
    ("says", "services"),
    [
        ({}, {"sos": "112", "sos.police": "110"}),
        ({"emergency": ["15", "112"]}, {"sos": "15"}),
        (
            {"emergency": ["17", "112"], "emergency_services": [POLICE | {"number": "17"}]},
            {"sos": "17", "sos.police": "17"},
        ),
        ({"emergency_services": []}, {"sos": "112"}),
        ({"emergency": []}, {}),
    ],
)
def test_services_of_a_site_have_numbers_of_that_site(says: dict[str, object], services: dict[str, str]) -> None:
    """A number of `numbers` that is none of the site is no number of a service there: the first one of the site is called."""
    site = SiteNumbers.model_validate({"site": "paris", **says})
    assert site_plan(BERLIN, site, NUMBERS).plan.services == services
