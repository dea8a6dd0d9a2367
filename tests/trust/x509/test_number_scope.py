"""The numbers for which a certificate may sign (RFC 8226)."""

from __future__ import annotations

import pytest
from cryptography import x509

from sipmesh.trust.x509.number_scope import TN_AUTH_LIST, may_sign_for
from support.number_signer import NumberSigner, code, numbers_from, one

SIGNERS = NumberSigner()


@pytest.mark.parametrize(
    ("entries", "number", "may"),
    [
        ([code()], "491705550100", True),
        ([one("491705550100")], "491705550100", True),
        ([one("491705550100")], "4917055501001", False),
        ([one("491705550100")], "49170555010", False),
        ([numbers_from("491705550100", 100)], "491705550199", True),
        ([numbers_from("491705550100", 100)], "491705550200", False),
        ([numbers_from("491705550100", 100)], "491705550099", False),
        ([numbers_from("49170555", 10**6)], "491705550100", False),
        ([code(""), one("1")], "491705550100", False),
    ],
)
def test_scope_has_codes_numbers_and_ranges(entries: list[bytes], number: str, *, may: bool) -> None:
    assert may_sign_for(SIGNERS.signer(*entries).certificate, number) is may


@pytest.mark.parametrize(
    "value", [b"", b"\x30", b"\x31\x00", b"\x30\x02\xa1\x00", b"\x30\x04\xa2\x02\x04\x00", b"\xff" * 9]
)
def test_malformed_scope_has_no_number(value: bytes) -> None:
    extra = (x509.UnrecognizedExtension(TN_AUTH_LIST, value),)
    assert not may_sign_for(SIGNERS.signer(extra=extra).certificate, "491705550100")


def test_certificate_without_a_scope_has_no_number() -> None:
    assert not may_sign_for(SIGNERS.signer(extra=()).certificate, "491705550100")
