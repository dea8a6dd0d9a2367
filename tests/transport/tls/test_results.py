"""OpenSSL's reasons become verdict codes, and the peer's alert is extracted from them."""

from __future__ import annotations

import pytest

from sipmesh.transport.tls.results import alert_of, failed, lost, shared_facts
from sipmesh.trust.code import Code


@pytest.mark.parametrize(
    ("reason", "opening", "code"),
    [
        ("wrong version number", False, "not-tls"),
        ("http request", False, "not-tls"),
        ("unsupported protocol", False, "protocol-too-old"),
        ("tlsv1 alert protocol version", True, "protocol-too-old"),
        ("peer did not return a certificate", False, "no-certificate"),
        ("tlsv1 alert unknown ca", True, "refused-by-peer"),
        ("tlsv1 alert unknown ca", False, "handshake-failed"),
        ("no shared cipher", False, "handshake-failed"),
    ],
)
def test_reason_of_openssl_becomes_a_verdict_code(reason: str, opening: object, code: str) -> None:
    assert Code(failed(reason, opening=bool(opening)).failure.code) == code


@pytest.mark.parametrize(
    ("reason", "alert"),
    [
        ("ssl/tls alert certificate expired", "certificate expired"),
        ("tlsv13 alert certificate required", "certificate required"),
        ("no shared cipher", ""),
    ],
)
def test_alert_is_extracted_from_the_reason(reason: str, alert: str) -> None:
    assert alert_of(reason) == alert
    assert lost(reason).alert == alert


def test_equal_facts_are_one_object() -> None:
    """Thousands of links refer to them."""
    assert shared_facts("TLSv1.3", "AES", "X25519", "") is shared_facts("TLSv1.3", "AES", "X25519", "")


@pytest.mark.parametrize(
    ("arrived", "told"),
    [
        (b"TER sip:x SIP/2.0\r\n", "plain SIP"),
        (b" / HTTP/1.1\r\n", "plain HTTP"),
        (b"\x00", "not TLS ("),
        (b"", "not TLS ("),
    ],
)
def test_octets_that_are_not_tls_are_named_by_their_protocol(arrived: bytes, told: str) -> None:
    assert told in failed("wrong version number", opening=False, arrived=arrived).failure.text
