"""What a link asks of TLS: one protocol over two adapters, pyOpenSSL where we judge and ``ssl`` on client ports.

Both work on the non-blocking socket itself. Foreign exceptions end in the adapters: a handshake that fails raises
:class:`HandshakeError`, a link that breaks later raises :class:`TlsError`.
"""

from __future__ import annotations

from enum import Enum
from functools import lru_cache
from typing import TYPE_CHECKING, Final, Protocol

from sipmesh.errors import SipmeshError
from sipmesh.trust.evidence import HandshakeFailure, TlsFacts

if TYPE_CHECKING:
    from sipmesh.trust.evidence import EngineError

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


class Tls(Protocol):
    """One TLS connection on one non-blocking socket.

    ``read`` returns what arrived (for ``ssl`` a view into *into*, good until the next read), ``b""`` where nothing is
    there now, and ``None`` after close_notify. ``write`` returns how many bytes were taken; 0 means that the socket is
    full, and the next call must begin with the very same bytes.
    """

    @property
    def greedy(self) -> bool:
        """Whether reading until nothing is there costs less than another turn of the epoll."""

    def fileno(self) -> int:
        """Give the socket's descriptor."""

    def handshake(self) -> Progress:
        """Take one step; raises HandshakeError."""

    def read(self, into: memoryview) -> bytes | memoryview | None:
        """Read what is there; raises TlsError."""

    def write(self, data: bytes | memoryview) -> int:
        """Write what the socket takes; raises TlsError."""

    def pending(self) -> int:
        """Tell how many decrypted bytes wait, of which epoll knows nothing."""

    def facts(self) -> TlsFacts:
        """Tell what was negotiated."""

    def presented(self) -> tuple[bytes, ...]:
        """Give the peer's certificates in DER, leaf first."""

    def engine_errors(self) -> tuple[EngineError, ...]:
        """Give every error of OpenSSL's path check."""

    def close(self) -> None:
        """Say goodbye if that can leave at once, and close the socket."""


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
