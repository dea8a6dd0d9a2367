"""The header field by which the servers of a pool tell how a phone has logged in."""

from __future__ import annotations

import pytest

from sipmesh.routing.events.login_proof import FIELD, LoginProof, proof_in
from sipmesh.sip.message import Request
from sipmesh.sip.rows import made_row


def subscribe(field: str) -> Request:
    """A SUBSCRIBE with the field."""
    return Request("SUBSCRIBE", "sip:alice@example.test", [made_row(FIELD, field)])


@pytest.mark.parametrize("field", ["", "7", "x;;0;;", "7;;soon;;", "7;;0;", "7;;0;;;"])
def test_field_that_is_none_proves_no_login(field: str) -> None:
    assert proof_in(subscribe(field)) is None


@pytest.mark.parametrize(
    "proof", [LoginProof(7), LoginProof(7, "desk"), LoginProof(2**62, "", 1_700_000_000.25, "ab12", "::1.7.9")]
)
def test_proof_is_read_as_it_was_written(proof: LoginProof) -> None:
    assert proof_in(subscribe(proof.written())) == proof
