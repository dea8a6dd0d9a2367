"""Sites and routes of numbers, as a document writes them."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from sipmesh.topology.document.parts.dialling import NumberRoute, SiteNumbers


def test_site_and_route_fit_in_one_line() -> None:
    extension = {"prefix": "8", "digits": 3, "numbers": "+4989456"}
    site = SiteNumbers.model_validate(
        {"site": "paris", "country": "33", "extensions": [extension], "emergency": ["15"]}
    )
    assert str(site) == "paris (country 33, extensions 8 and 3 digits for +4989456, emergency 15)"
    police = SiteNumbers.model_validate(
        {"site": "paris", "emergency_services": [{"service": "sos.police", "number": "17"}]}
    )
    assert str(police) == "paris (emergency services sos.police 17)"
    night = {"name": "night", "numbers": ["+"], "trunks": ["a.test"], "hours": "18:00-08:00", "days": ["sat", "sun"]}
    assert str(NumberRoute.model_validate(night)) == "night (+ by a.test, on sat, sun, 18:00-08:00)"


@pytest.mark.parametrize(
    "keys",
    [
        {"location": "http://lis.test/1"},
        {"location": "https://lis.test/a b"},
        {"location": "https://lis.test/>,<sip:x"},
        {"location": "https://lis.test/\r\nX: y"},
        {"callback": "112"},
        {"extensions": [{"digits": 0, "numbers": "+49"}]},
        {"users": ["alice"]},
        {"emergency_services": [{"service": "police", "number": "17"}]},
        {"emergency_services": [{"service": "sos.", "number": "17"}]},
        {"zone": "x"},
    ],
)
def test_site_with_a_wrong_value_is_refused(keys: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        SiteNumbers.model_validate({"site": "paris", **keys})


@pytest.mark.parametrize(
    "keys", [{"trunks": []}, {"numbers": []}, {"hours": "8-18"}, {"days": ["monday"]}, {"time_zone": "Berlin/Europe"}]
)
def test_route_with_a_wrong_value_is_refused(keys: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        NumberRoute.model_validate({"name": "night", "numbers": ["+"], "trunks": ["a.test"], **keys})
