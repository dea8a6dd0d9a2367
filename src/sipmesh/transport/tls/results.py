"""Progress and errors of TLS: the types between the adapter and the links, and OpenSSL's reasons mapped to them.

Exceptions of pyOpenSSL do not leave the adapter. A handshake that fails raises :class:`HandshakeError`. A link that breaks
later raises :class:`TlsError`.
"""

from __future__ import annotations

from enum import Enum
from functools import lru_cache
from typing import Final

from sipmesh.errors import SipmeshError
from sipmesh.trust.evidence import HandshakeFailure, TlsFacts

RECORD: Final = 16_384  # one TLS record holds at most this much plaintext (RFC 8446 5.1)

NOT_TLS: Final = frozenset({"wrong version number", "http request", "https proxy request", "unknown protocol"})
TOO_OLD: Final = frozenset({"unsupported protocol", "version too low", "tlsv1 alert protocol version"})
NO_CERTIFICATE: Final = frozenset({"peer did not return a certificate"})


class Progress(Enum):
    """Whether a handshake is done, and which event it waits for."""

    DONE = "done"
    WANT_READ = "want read"
    WANT_WRITE = "want write"


class HandshakeError(SipmeshError):
    """The handshake has failed, and there is no link; *failure* has the verdict code and the reason."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.failure = HandshakeFailure(code, text)


class TlsError(SipmeshError):
    """A link that was up is broken; *alert* is the alert that the peer sent, or empty."""

    def __init__(self, text: str, alert: str = "") -> None:
        super().__init__(text)
        self.alert = alert


@lru_cache(maxsize=256)
def shared_facts(version: str, cipher: str, group: str, sni: str, protocol: str = "") -> TlsFacts:
    """Return one shared object for equal facts, because thousands of client links negotiate the same."""
    return TlsFacts(version, cipher, group, sni, protocol)


def alert_of(reason: str) -> str:
    """Return the peer's alert from OpenSSL's *reason*, ``unknown ca`` from ``tlsv1 alert unknown ca``; empty if none."""
    _, found, alert = reason.partition(" alert ")
    return alert if found else ""


def failed(reason: str, *, opening: bool, arrived: bytes = b"") -> HandshakeError:
    """Map OpenSSL's *reason* (lower case, spaces) to a verdict code; *opening* is true where we opened the link.

    *arrived* are octets of the peer that OpenSSL has not read.
    """
    alert = alert_of(reason)
    if reason in NOT_TLS:
        return HandshakeError("not-tls", f"what arrived is not TLS{_protocol_of(arrived)} ({reason})")
    if reason in TOO_OLD:
        return HandshakeError("protocol-too-old", f"the peer does not speak TLS 1.2 or later ({reason})")
    if reason in NO_CERTIFICATE:
        return HandshakeError("no-certificate", "the peer did not present a certificate")
    if alert and opening:
        return HandshakeError("refused-by-peer", f"the peer sent the alert '{alert}'")
    if alert:
        return HandshakeError("handshake-failed", f"the peer sent the alert '{alert}'")
    return HandshakeError("handshake-failed", reason)


def _protocol_of(arrived: bytes) -> str:
    """Name the protocol of the octets behind the first five, which OpenSSL has taken for a TLS record."""
    if b"SIP/2.0" in arrived:
        return " but plain SIP"
    return " but plain HTTP" if b"HTTP/1." in arrived else ""


def lost(reason: str) -> TlsError:
    """Return the error of a link that was up, with the peer's alert if *reason* (lower case, spaces) contains one."""
    alert = alert_of(reason)
    return TlsError(f"the peer sent the alert '{alert}'" if alert else reason, alert)
