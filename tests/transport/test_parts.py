"""The small parts that need no socket: limits, deadlines, and how OpenSSL's words are sorted."""

from __future__ import annotations

import pytest

from sipmesh.transport.deadlines import Deadlines
from sipmesh.transport.limits import Limits, reasons
from sipmesh.transport.tls.results import alert_of, failed, lost
from sipmesh.trust.code import Code
from sipmesh.trust.evidence import LinkKind


class Alarm:
    def __init__(self) -> None:
        self.alarm = 0.0

    def due(self, _now: float) -> None: ...

    def broken(self, _error: Exception) -> None: ...


def test_every_limit_has_a_reason() -> None:
    assert all(reasons().values())
    assert len(reasons()) > 20


@pytest.mark.parametrize(("kind", "body"), [(LinkKind.CLIENT, 131_072), (LinkKind.SERVER, 5_000_000)])
def test_body_limit_follows_the_kind_of_link(kind: LinkKind, body: int) -> None:
    assert Limits().reading(kind).body == body


def test_deadline_is_met_at_its_instant_and_not_before() -> None:
    deadlines, alarm = Deadlines(), Alarm()
    deadlines.set(alarm, 10.0)
    assert list(deadlines.due(9.999)) == []
    assert list(deadlines.due(10.0)) == [alarm]
    assert (list(deadlines.due(11.0)), alarm.alarm) == ([], 0.0)


def test_earlier_alarm_replaces_a_later_one_and_not_the_other_way_round() -> None:
    deadlines, alarm = Deadlines(), Alarm()
    deadlines.set(alarm, 10.0)
    deadlines.set(alarm, 20.0)
    deadlines.set(alarm, 5.0)
    assert deadlines.earliest() == 5.0
    assert list(deadlines.due(30.0)) == [alarm]


def test_alarm_that_is_set_again_at_once_does_not_hold_up_the_others() -> None:
    deadlines, alarm = Deadlines(), Alarm()
    deadlines.set(alarm, 1.0)
    for timed in deadlines.due(1.0):
        deadlines.set(timed, 1.0)
    assert deadlines.earliest() == 1.0


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
def test_alert_is_taken_out_of_the_reason(reason: str, alert: str) -> None:
    assert alert_of(reason) == alert
    assert lost(reason).alert == alert
