"""Why phones get no link, or lose it before they log in: the last refusals of client links, bounded for each network."""

from __future__ import annotations

from collections import Counter, OrderedDict
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from sipmesh.printable import printable
from sipmesh.routing.authentication.backoff import network_of
from sipmesh.trust.code import Code

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sipmesh.trust.verdict import Verdict

LONGEST_DETAIL: Final = 200
"""Characters that are kept of what was seen."""

CERTIFICATE_ALERTS: Final = ("unknown ca", "bad certificate", "certificate unknown", "certificate expired")
"""Alerts of a peer that does not accept our certificate (RFC 8446 section 6.2)."""


class RefusalReason(StrEnum):
    """Why a client link failed. The names are stable: metrics and scripts use them."""

    PLAIN_SIP = "plain-sip"
    PLAIN_HTTP = "plain-http"
    NOT_TLS = "not-tls"
    NO_SHARED_CIPHER = "no-shared-cipher"
    PROTOCOL_TOO_OLD = "protocol-too-old"
    CERTIFICATE_REFUSED = "certificate-refused"
    CLOSED_IN_HANDSHAKE = "closed-in-handshake"
    CLOSED_WITHOUT_A_BYTE = "closed-without-a-byte"
    HANDSHAKE_TIMEOUT = "handshake-timeout"
    TOO_MANY_HANDSHAKES = "too-many-handshakes"
    HANDSHAKE_FAILED = "handshake-failed"
    HTTP_ON_SIP_PORT = "http-on-sip-port"
    WEBSOCKET_ON_SIP_PORT = "websocket-on-sip-port"
    NOT_SIP = "not-sip"
    NO_WEBSOCKET = "no-websocket"
    WRONG_HOST = "wrong-host"
    WRONG_ORIGIN = "wrong-origin"
    NO_LOGIN = "no-login"
    NO_CERTIFICATE = "no-certificate"
    DEVICE_REFUSED = "device-refused"


_OF_TEXTS: Final = (
    ("plain SIP", RefusalReason.PLAIN_SIP),
    ("plain HTTP", RefusalReason.PLAIN_HTTP),
    ("no shared cipher", RefusalReason.NO_SHARED_CIPHER),
    ("no shared signature", RefusalReason.NO_SHARED_CIPHER),
    ("no suitable signature", RefusalReason.NO_SHARED_CIPHER),
    *((f"the alert '{alert}", RefusalReason.CERTIFICATE_REFUSED) for alert in CERTIFICATE_ALERTS),
    ("closed the connection", RefusalReason.CLOSED_IN_HANDSHAKE),
)
_OF_UPGRADES: Final = {403: RefusalReason.WRONG_ORIGIN, 421: RefusalReason.WRONG_HOST}
"""The reasons of HTTP requests that open no WebSocket, by HTTP status; any other is `NO_WEBSOCKET`."""

_OF_CODES: Final = {
    Code.NOT_TLS: RefusalReason.NOT_TLS,
    Code.PROTOCOL_TOO_OLD: RefusalReason.PROTOCOL_TOO_OLD,
    Code.HANDSHAKE_TIMEOUT: RefusalReason.HANDSHAKE_TIMEOUT,
    Code.TOO_MANY_HANDSHAKES: RefusalReason.TOO_MANY_HANDSHAKES,
    Code.HANDSHAKE_FAILED: RefusalReason.HANDSHAKE_FAILED,
    Code.NO_CERTIFICATE: RefusalReason.NO_CERTIFICATE,
}
"""A phone whose handshake has another code has presented the certificate of a device that is refused."""


@dataclass(frozen=True, slots=True)
class RefusalLimits:
    """How many entries are kept, each below 1 KiB. An entry is one network and one reason."""

    networks: int = 1_000  # beyond, the network that failed least recently is forgotten


@dataclass(slots=True)
class ClientRefusal:
    """The failures of client links from one network for one reason. Times are in epoch seconds (UTC)."""

    reason: RefusalReason
    detail: str
    remote: str
    first_at: float
    last_at: float
    count: int = 1


class ClientRefusals:
    """The failed client links of one server: a network has one entry for each reason, so it displaces no other network."""

    def __init__(self, limits: RefusalLimits | None = None) -> None:
        self._limits = limits or RefusalLimits()
        self._networks: OrderedDict[str, dict[RefusalReason, ClientRefusal]] = OrderedDict()
        self.counts: Counter[RefusalReason] = Counter()

    def refuse(self, verdict: Verdict, at: float) -> None:
        """Record a refused handshake of a client."""
        reason = verdict.reason
        detail = reason.saw if reason is not None else ""
        self.record(reason_of(verdict.code, detail), detail, verdict.remote[0], at)

    def record(self, reason: RefusalReason, detail: str, remote: str, at: float) -> None:
        """Record a failure of a link from the address *remote*; *at* is in epoch seconds."""
        self.counts[reason] += 1
        network = network_of(remote)
        entries = self._networks.setdefault(network, {})
        self._networks.move_to_end(network)
        known = entries.get(reason)
        text = printable(detail, LONGEST_DETAIL)
        if known is None:
            entries[reason] = ClientRefusal(reason, text, remote, at, at)
        else:
            known.detail, known.remote, known.last_at, known.count = text, remote, at, known.count + 1
        if len(self._networks) > self._limits.networks:
            self._networks.popitem(last=False)

    def refuse_upgrade(self, status: int, detail: str, remote: str, at: float) -> None:
        """Record an HTTP request that opened no WebSocket, by the *status* of its answer."""
        self.record(_OF_UPGRADES.get(status, RefusalReason.NO_WEBSOCKET), detail, remote, at)

    def newest(self, most: int) -> list[ClientRefusal]:
        """Return the newest *most* entries, newest first."""
        return sorted(self._all(), key=lambda refusal: refusal.last_at, reverse=True)[: max(most, 0)]

    def _all(self) -> Iterator[ClientRefusal]:
        for entries in self._networks.values():
            yield from entries.values()


def reason_of(code: Code, detail: str) -> RefusalReason:
    """Return the reason of a refused handshake with *code*; *detail* is what the verdict saw."""
    for part, reason in _OF_TEXTS:
        if part in detail:
            return reason
    return _OF_CODES.get(code, RefusalReason.DEVICE_REFUSED)


def reason_of_end(why: str, octets_in: int) -> RefusalReason | None:
    """Return the reason of a client link that has ended before a login, *why* by the link; None if it is no failure.

    After a TLS 1.3 handshake, the alert of a phone that does not accept our certificate arrives on a link that is up. Other
    phones only close the link then.
    """
    if any(f"the alert '{alert}" in why for alert in CERTIFICATE_ALERTS):
        return RefusalReason.CERTIFICATE_REFUSED
    if "unframeable" in why:
        return reason_of_stream(why)
    if "not authenticated" in why:
        return RefusalReason.NO_LOGIN
    return RefusalReason.CLOSED_WITHOUT_A_BYTE if not octets_in and "the peer" in why else None


def reason_of_stream(why: str) -> RefusalReason:
    """Return the reason of a stream that is not SIP."""
    if "WebSocket" in why:
        return RefusalReason.WEBSOCKET_ON_SIP_PORT
    return RefusalReason.HTTP_ON_SIP_PORT if "HTTP" in why else RefusalReason.NOT_SIP
