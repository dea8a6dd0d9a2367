"""Enrolment: the protocols are named, and the ports of challenges are those of the RFCs by default."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from sipmesh.topology.document.parts.enrolment import Enrolment, EnrolmentProtocol


def test_ports_of_challenges_are_those_of_the_rfcs_by_default() -> None:
    found = Enrolment.model_validate({"protocols": ["acme"]})
    assert found.protocols == (EnrolmentProtocol.ACME,)
    assert (found.http_port, found.tls_alpn_port) == (80, 443)


@pytest.mark.parametrize(
    "given", [{}, {"protocols": []}, {"protocols": ["scep"]}, {"protocols": ["est"], "http_port": 0}]
)
def test_protocol_that_does_not_exist_or_none_is_refused(given: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Enrolment.model_validate(given)
