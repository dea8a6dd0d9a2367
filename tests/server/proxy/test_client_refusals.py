"""Failed client links: classes of reasons, and bounds for each network."""

from __future__ import annotations

import pytest

from sipmesh.server.proxy.client_refusals import (
    LONGEST_DETAIL,
    ClientRefusals,
    RefusalLimits,
    RefusalReason,
    reason_of,
    reason_of_end,
)
from sipmesh.trust.code import Code


@pytest.mark.parametrize(
    ("code", "detail", "reason"),
    [
        (Code.NOT_TLS, "what arrived is not TLS but plain SIP (wrong version number)", RefusalReason.PLAIN_SIP),
        (Code.NOT_TLS, "what arrived is not TLS but plain HTTP (http request)", RefusalReason.PLAIN_HTTP),
        (Code.NOT_TLS, "what arrived is not TLS (unknown protocol)", RefusalReason.NOT_TLS),
        (Code.PROTOCOL_TOO_OLD, "unsupported protocol", RefusalReason.PROTOCOL_TOO_OLD),
        (Code.HANDSHAKE_FAILED, "no shared cipher", RefusalReason.NO_SHARED_CIPHER),
        (Code.HANDSHAKE_FAILED, "no shared signature algorithms", RefusalReason.NO_SHARED_CIPHER),
        (Code.HANDSHAKE_FAILED, "no suitable signature algorithm", RefusalReason.NO_SHARED_CIPHER),
        (Code.HANDSHAKE_FAILED, "the peer sent the alert 'unknown ca'", RefusalReason.CERTIFICATE_REFUSED),
        (
            Code.HANDSHAKE_FAILED,
            "the peer closed the connection during the handshake",
            RefusalReason.CLOSED_IN_HANDSHAKE,
        ),
        (Code.HANDSHAKE_FAILED, "bad signature", RefusalReason.HANDSHAKE_FAILED),
        (Code.NO_CERTIFICATE, "no certificate", RefusalReason.NO_CERTIFICATE),
        (Code.REVOKED, "desk of alice", RefusalReason.DEVICE_REFUSED),
        (Code.NOT_A_DEVICE, "a server", RefusalReason.DEVICE_REFUSED),
        (Code.HANDSHAKE_TIMEOUT, "not finished after 5 s", RefusalReason.HANDSHAKE_TIMEOUT),
        (Code.TOO_MANY_HANDSHAKES, "closed at a limit", RefusalReason.TOO_MANY_HANDSHAKES),
    ],
)
def test_refused_handshake_has_the_reason_that_its_verdict_saw(code: Code, detail: str, reason: RefusalReason) -> None:
    assert reason_of(code, detail) is reason


@pytest.mark.parametrize(
    ("why", "octets", "reason"),
    [
        ("the peer sent the alert 'certificate unknown'", 0, RefusalReason.CERTIFICATE_REFUSED),
        ("closed by the peer", 0, RefusalReason.CLOSED_WITHOUT_A_BYTE),
        ("the peer closed without close_notify (Unexpected EOF)", 0, RefusalReason.CLOSED_WITHOUT_A_BYTE),
        ("closed by the peer", 900, None),
        ("unframeable: a WebSocket handshake over HTTP on a SIP port", 9, RefusalReason.WEBSOCKET_ON_SIP_PORT),
        ("unframeable: an HTTP request on a SIP port", 9, RefusalReason.HTTP_ON_SIP_PORT),
        ("unframeable: not a SIP start line", 9, RefusalReason.NOT_SIP),
        ("not authenticated in time", 0, RefusalReason.NO_LOGIN),
        ("drained", 0, None),
    ],
)
def test_link_that_ends_before_a_login_has_a_reason_if_it_is_a_failure(
    why: str, octets: int, reason: RefusalReason | None
) -> None:
    assert reason_of_end(why, octets) is reason


def test_failures_of_one_network_and_reason_are_one_entry() -> None:
    refusals = ClientRefusals()
    for at in (1.0, 2.0):
        refusals.record(RefusalReason.PLAIN_SIP, f"seen at {at} " + "x" * 500, f"2001:db8::{at:.0f}", at)
    [entry] = refusals.newest(9)
    assert (entry.count, entry.first_at, entry.last_at, entry.remote) == (2, 1.0, 2.0, "2001:db8::2")
    assert entry.detail.startswith("seen at 2.0")
    assert len(entry.detail) < LONGEST_DETAIL + len("… (512 letters)") + 5
    assert refusals.counts[RefusalReason.PLAIN_SIP] == 2


def test_network_that_fails_in_every_way_displaces_no_other() -> None:
    refusals = ClientRefusals(RefusalLimits(networks=2))
    refusals.record(RefusalReason.NO_LOGIN, "", "192.0.2.1", 0.0)
    for at, reason in enumerate([*RefusalReason, *RefusalReason], 1):
        refusals.record(reason, "", "192.0.2.2", at)
    assert {entry.remote for entry in refusals.newest(99)} == {"192.0.2.1", "192.0.2.2"}
    assert len(refusals.newest(99)) == len(RefusalReason) + 1


@pytest.mark.parametrize(("networks", "kept"), [(2, True), (3, False)])
def test_network_that_failed_least_recently_is_forgotten_above_the_limit(networks: int, *, kept: bool) -> None:
    refusals = ClientRefusals(RefusalLimits(networks=2))
    for number in range(networks):
        refusals.record(RefusalReason.NO_LOGIN, "", f"192.0.2.{number}", number)
    assert ("192.0.2.0" in {entry.remote for entry in refusals.newest(9)}) is kept
    assert [entry.last_at for entry in refusals.newest(1)] == [networks - 1]


@pytest.mark.parametrize(
    ("status", "reason"),
    [(403, RefusalReason.WRONG_ORIGIN), (421, RefusalReason.WRONG_HOST), (426, RefusalReason.NO_WEBSOCKET)],
)
def test_http_request_that_opens_no_websocket_has_its_reason(status: int, reason: RefusalReason) -> None:
    refusals = ClientRefusals()
    refusals.refuse_upgrade(status, "a page of the origin 'https://evil.test'", "192.0.2.1", 1.0)
    assert [(one.reason, one.remote) for one in refusals.newest(9)] == [(reason, "192.0.2.1")]
