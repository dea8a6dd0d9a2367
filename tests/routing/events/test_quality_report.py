"""Reports of quality, as phones write them and as an attacker may."""

from __future__ import annotations

import pytest

from sipmesh.errors import RemoteError
from sipmesh.routing.events.quality_report import LARGEST, read_quality

# RFC 6035 section 5.1, shortened
REPORT = b"""VQSessionReport: CallTerm\r
CallID: 6dg37f1890463\r
LocalID: Alice <sip:alice@example.org>\r
RemoteID: Bill <sip:bill@example.net>\r
OrigID: Alice <sip:alice@example.org>\r
LocalAddr: IP=10.10.1.100 PORT=5000 SSRC=1a3b5c7d\r
LocalMetrics:\r
Timestamps:START=2004-10-10T18:23:43Z STOP=2004-10-01T18:26:02Z\r
SessionDesc:PT=18 PD=G729 SR=8000 FD=20 FO=20 FPP=2 PPS=50\r
JitterBuffer:JBA=3 JBR=2 JBN=40 JBM=80 JBX=120\r
PacketLoss:NLR=5.0 JDR=2.0\r
Delay:RTD=200 ESD=140 SOWD=200 IAJ=2 MAJ=10\r
QualityEst:RLQ=90 RCQ=85 EXTRI=90 MOSLQ=4.2 MOSCQ=4.3 QoEEstAlg=P.564\r
RemoteMetrics:\r
QualityEst:MOSLQ=1.0 MOSCQ=1.0\r
"""


def test_figures_are_those_that_the_phone_has_measured_itself() -> None:
    report = read_quality(REPORT)
    assert report.call_id == "6dg37f1890463"
    assert report.figures == ("MOSLQ=4.2", "MOSCQ=4.3", "NLR=5.0", "JDR=2.0", "IAJ=2", "RTD=200", "PD=G729")


@pytest.mark.parametrize("kind", [b"VQIntervalReport", b"vqalertreport: Type=NLR", b"VQSessionReport"])
def test_other_reports_are_read_too(kind: bytes) -> None:
    assert read_quality(kind + b"\nCallID: c1\n").figures == ()


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"hello",
        b"VQSessionReport\r\n",
        b"VQSessionReport\r\nCallID:\r\n",
        b"VQSessionReport\r\nCallID: a\x1b[0m\r\n",
        b"VQSessionReport\r\nCallID: \xff\r\n",
        b"VQSessionReport\r\nCallID: " + b"a" * 257 + b"\r\n",
    ],
    ids=lambda body: body[:40],
)
def test_what_is_no_report_is_refused(body: bytes) -> None:
    with pytest.raises(RemoteError, match="report"):
        read_quality(body)


@pytest.mark.parametrize(("octets", "status"), [(LARGEST, None), (LARGEST + 1, 413)])
def test_report_is_bounded(octets: int, status: int | None) -> None:
    body = b"VQSessionReport\r\nCallID: c1\r\n".ljust(octets, b"x")
    if status is None:
        assert read_quality(body).call_id == "c1"
    else:
        with pytest.raises(RemoteError) as refused:
            read_quality(body)
        assert refused.value.status == status


@pytest.mark.parametrize("value", [b"MOSLQ=\x1b[2J", b"MOSLQ=" + b"9" * 33, b"MOSLQ=<script>", b"XMOSLQ=4.2"])
def test_figure_that_is_none_is_left_out(value: bytes) -> None:
    assert read_quality(b"VQSessionReport\r\nCallID: c1\r\nQualityEst:" + value + b"\r\n").figures == ()
