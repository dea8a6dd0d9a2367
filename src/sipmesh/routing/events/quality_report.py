"""Reports of voice quality that phones publish after a call (RFC 6035): which call, and the figures that matter."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from sipmesh.errors import RemoteError
from sipmesh.sip.text import LWS, ascii_lower

EVENT: Final = "vq-rtcpxr"
CONTENT_TYPE: Final = "application/vq-rtcpxr"
LARGEST: Final = 16 << 10
LONGEST_CALL_ID: Final = 256
FIGURES: Final = ("MOSLQ", "MOSCQ", "NLR", "JDR", "IAJ", "RTD", "PD")
"""Listening and conversational quality, lost and discarded packets, jitter, round trip, codec (section 4.6.2)."""

_RULE: Final = "RFC 6035 section 4.6"
_CALL_ID: Final = re.compile(r"[!-~]+", re.ASCII)
_FIGURE: Final = re.compile(r"\b([A-Z]{2,8})=([A-Za-z0-9./-]{1,32})(?![^\s;,])", re.ASCII)


@dataclass(frozen=True, slots=True)
class QualityReport:
    """The report of one phone about the call with *call_id*: *figures* as ``MOSLQ=4.2``, in the order of `FIGURES`."""

    call_id: str
    figures: tuple[str, ...]


def read_quality(body: bytes) -> QualityReport:
    """Read the body of a PUBLISH: the metrics that the phone has measured itself; raises `RemoteError` if it is no report."""
    if len(body) > LARGEST:
        raise RemoteError("a report of quality that is too large", rule=_RULE, status=413)
    lines = body.decode("utf-8", "replace").replace("\r\n", "\n").split("\n")
    if not ascii_lower(lines[0]).startswith(("vqsessionreport", "vqintervalreport", "vqalertreport")):
        raise RemoteError("a body that is no report of quality", rule=_RULE)
    call_id, found = "", dict[str, str]()
    for line in lines:
        name, _, value = line.partition(":")
        key = ascii_lower(name.strip(LWS))
        if key == "remotemetrics":
            break
        if key == "callid" and not call_id:
            call_id = value.strip(LWS)
        for figure, given in _FIGURE.findall(value):
            found.setdefault(figure, given)
    if len(call_id) > LONGEST_CALL_ID or _CALL_ID.fullmatch(call_id) is None:
        raise RemoteError("a report of quality without the Call-ID of its call", rule=_RULE)
    return QualityReport(call_id, tuple(f"{figure}={found[figure]}" for figure in FIGURES if figure in found))
