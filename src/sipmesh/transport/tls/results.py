"""How TLS goes on and how it fails: the words between the adapter and the links, and OpenSSL's reasons sorted into them.

Foreign exceptions end in the adapter: a handshake that fails raises :class:`HandshakeError`, a link that breaks later raises
:class:`TlsError`.
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
    """How far a handshake has come, and what it waits for."""

    DONE = "done"
    WANT_READ = "want read"
    WANT_WRITE = "want write"


class HandshakeError(SipmeshError):
    """The handshake is over and there is no link; *failure* says why, in a verdict code."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.failure = HandshakeFailure(code, text)


class TlsError(SipmeshError):
    """A link that was up is gone; *alert* is the alert the peer sent, or empty."""

    def __init__(self, text: str, alert: str = "") -> None:
        super().__init__(text)
        self.alert = alert


@lru_cache(maxsize=256)
def shared_facts(version: str, cipher: str, group: str, sni: str) -> TlsFacts:
    """Give one object for equal facts: thousands of client links negotiate the same."""
    return TlsFacts(version, cipher, group, sni)


def alert_of(reason: str) -> str:
    """Take the peer's alert out of OpenSSL's reason, such as ``unknown ca`` out of ``tlsv1 alert unknown ca``."""
    _, found, alert = reason.partition(" alert ")
    return alert if found else ""


def failed(reason: str, *, opening: bool) -> HandshakeError:
    """Sort OpenSSL's *reason* (lower case, spaces) into a verdict code."""
    alert = alert_of(reason)
    if reason in NOT_TLS:
        return HandshakeError("not-tls", f"what arrived is not TLS ({reason})")
    if reason in TOO_OLD:
        return HandshakeError("protocol-too-old", f"the peer does not speak TLS 1.2 or later ({reason})")
    if reason in NO_CERTIFICATE:
        return HandshakeError("no-certificate", "the peer did not present a certificate")
    if alert and opening:
        return HandshakeError("refused-by-peer", f"the peer sent the alert '{alert}'")
    if alert:
        return HandshakeError("handshake-failed", f"the peer sent the alert '{alert}'")
    return HandshakeError("handshake-failed", reason)


def lost(reason: str) -> TlsError:
    """Give the end of a link that was up, with the peer's alert where *reason* (lower case, spaces) is one."""
    alert = alert_of(reason)
    return TlsError(f"the peer sent the alert '{alert}'" if alert else reason, alert)
