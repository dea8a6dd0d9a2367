"""Service URNs, and their SIP form."""

from __future__ import annotations

import pytest

from sipmesh.errors import RemoteError
from sipmesh.sip.service_urn import LONGEST_SERVICE, NO_NUMBER, service_form, service_in
from sipmesh.sip.tel import target_uri
from sipmesh.sip.uri import SipUri


@pytest.mark.parametrize(
    ("text", "service"),
    [
        ("urn:service:sos", "sos"),
        ("urn:service:sos.police", "sos.police"),
        ("URN:Service:SOS.Animal-Control", "sos.animal-control"),
        ("urn:service:counseling.children", "counseling.children"),
        (f"urn:service:sos.{'a' * (LONGEST_SERVICE - 4)}", f"sos.{'a' * (LONGEST_SERVICE - 4)}"),
    ],
)
def test_service_is_read_without_case(text: str, service: str) -> None:
    form = target_uri(text)
    assert (service_in(form), form.host) == (service, NO_NUMBER)


@pytest.mark.parametrize(
    "service",
    [
        "",
        ".",
        "sos.",
        ".sos",
        "sos..police",
        "sos.-police",
        "sos-",
        "so%73",
        "sos;x=1",
        "sos?subject=x",
        "sos#police",
        "sos@evil.test",
        "sos police",
        "sós",
        "sos\u212a",
        "sos\n",
        "a" * 28,
        f"sos.{'a' * (LONGEST_SERVICE - 3)}",
        "sos." * 2500,
    ],
)
def test_malformed_service_is_refused(service: str) -> None:
    with pytest.raises(RemoteError) as refused:
        service_form(f"urn:service:{service}")
    assert refused.value.status == 400


@pytest.mark.parametrize("text", ["urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6", "urn:services:sos", "urn:sos"])
def test_other_urn_is_no_request_uri(text: str) -> None:
    with pytest.raises(RemoteError) as refused:
        target_uri(text)
    assert refused.value.status == 416


def test_sip_uri_of_that_name_is_no_service() -> None:
    assert service_in(SipUri.parse("sip:sos@example.test")) == ""
