"""TLSA records: each usage, selector and matching type, and those that do not count."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from sipmesh.demo.forge import Forge
from sipmesh.topology.builder.tlsa import tlsa_of_ca, tlsa_of_chain
from sipmesh.trust.dane.tlsa import MOST_RECORDS, DaneStatus, TlsaAnswer, TlsaRecord

FORGE = Forge(datetime.now(UTC))
CA = FORGE.organisation("Partner")
assert CA.issuer is not None
LEAF = FORGE.server(CA, "sip.partner.test").certificate
PATH = (LEAF, CA.certificate, CA.issuer.certificate)


def content(n: int, selector: int, matching: int) -> bytes:
    spki = PATH[n].public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    data = spki if selector else PATH[n].public_bytes(Encoding.DER)
    return (data, hashlib.sha256(data).digest(), hashlib.sha512(data).digest())[matching]


@pytest.mark.parametrize("usage", range(4))
@pytest.mark.parametrize("selector", range(2))
@pytest.mark.parametrize("matching", range(3))
def test_record_matches_the_leaf_or_a_ca_by_its_usage(usage: int, selector: int, matching: int) -> None:
    for n in range(3):
        record = TlsaRecord.read(f"{usage} {selector} {matching} {content(n, selector, matching).hex()}")
        assert record is not None
        assert record.matches(PATH) is ((n == 0) is (usage in {1, 3}))


def test_records_of_our_own_dns_are_read() -> None:
    for text in (tlsa_of_ca(CA.certificate), tlsa_of_chain([LEAF]), tlsa_of_chain(PATH)):
        record = TlsaRecord.read(text)
        assert record is not None
        assert record.matches(PATH)


@pytest.mark.parametrize("text", ["", "3 1 1", "3 1 1 zz", "4 1 1 aa", "3 2 1 aa", "3 1 3 aa", "x 1 1 aa", "-1 1 1 aa"])
def test_unusable_record_does_not_count(text: str) -> None:
    assert TlsaAnswer.of("a.test", DaneStatus.SECURE, [text, "3 1 1 aa"]).records == (TlsaRecord(3, 1, 1, b"\xaa"),)


def test_number_of_records_is_bounded() -> None:
    assert len(TlsaAnswer.of("a.test", DaneStatus.SECURE, ["3 1 1 aa"] * 99).records) == MOST_RECORDS
