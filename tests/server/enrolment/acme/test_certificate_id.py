"""Identifiers of certificates, with the example of RFC 9773."""

from __future__ import annotations

import pytest

from sipmesh.server.enrolment.acme.certificate_id import CertificateId
from sipmesh.server.enrolment.problem import AcmeProblemError


def test_example_of_the_rfc_is_read() -> None:
    found = CertificateId.read("aYhba4dGQEHhs3uEe6CuLN4ByNQ.AIdlQyE")
    assert found.issuer.hex().upper() == "69885B6B87464041E1B37B847BA0AE2CDE01C8D4"
    assert found.serial_hex == "87654321"


@pytest.mark.parametrize("given", [None, 7, "", "a", "AAAA", ".AAAA", "AAAA.", "A.A.A", "é.AAAA", "AAAA." + "A" * 200])
def test_anything_else_is_refused(given: object) -> None:
    with pytest.raises(AcmeProblemError, match="no identifier"):
        CertificateId.read(given)
