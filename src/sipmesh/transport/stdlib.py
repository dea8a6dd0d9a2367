"""TLS over the standard library's ``ssl``: accepted client links, where no certificate is asked for."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING, Any, ClassVar, Final

from sipmesh.transport.tls import RECORD, HandshakeError, Progress, TlsError, failed, lost, shared_facts

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

    from sipmesh.trust.evidence import EngineError, TlsFacts

PIECE: Final = 4 * RECORD


class StdlibTls:
    """``ssl`` on accepted client links, where no certificate is asked for: 5 us less per record than pyOpenSSL."""

    __slots__ = ("_give", "_sock", "_take")

    greedy: ClassVar[bool] = False  # SSLWantReadError builds a text first: leave the next record to the epoll

    def __init__(self, context: ssl.SSLContext, sock: socket.socket) -> None:
        wrapped = context.wrap_socket(sock, server_side=True, do_handshake_on_connect=False, suppress_ragged_eofs=False)
        self._sock: ssl.SSLSocket = wrapped
        # What recv_into and send come to in the end; two frames of Python less for each record.
        inner: Any = wrapped._sslobj  # type: ignore[attr-defined]
        self._take: Callable[[int, memoryview], int] = inner.read
        self._give: Callable[[bytes | memoryview], int] = inner.write

    def __repr__(self) -> str:
        return f"<StdlibTls fd={self._sock.fileno()} {self._sock.version() or 'no handshake yet'}>"

    def fileno(self) -> int:
        """Give the socket's descriptor."""
        return self._sock.fileno()

    def handshake(self) -> Progress:
        """Take one step; raises :class:`HandshakeError`."""
        try:
            self._sock.do_handshake()
        except ssl.SSLWantReadError:
            return Progress.WANT_READ
        except ssl.SSLWantWriteError:
            return Progress.WANT_WRITE
        except ssl.SSLError as error:
            raise self._failed(error) from None
        except OSError as gone:
            raise self._closed_early(gone.strerror or "reset") from None
        return Progress.DONE

    def _failed(self, error: ssl.SSLError) -> HandshakeError:
        if isinstance(error, ssl.SSLEOFError | ssl.SSLZeroReturnError):
            return self._closed_early("Unexpected EOF")
        return failed(_stdlib_reason(error), opening=False)

    @staticmethod
    def _closed_early(how: str) -> HandshakeError:
        return HandshakeError("handshake-failed", f"the peer closed the connection during the handshake ({how})")

    def read(self, into: memoryview) -> bytes | memoryview | None:
        """Read what one record holds; see :class:`Tls`."""
        try:
            count = self._take(len(into), into)
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return b""
        except OSError as error:
            raise _stdlib_lost(error, "the peer closed without close_notify") from None
        return into[:count] if count else None

    def write(self, data: bytes | memoryview) -> int:
        """Write as much as the socket takes; see :class:`Tls`."""
        try:
            # SSL_write takes all or nothing here (no partial writes): in pieces, so that progress can be seen.
            return self._give(data if len(data) <= PIECE else memoryview(data)[:PIECE])
        except (ssl.SSLWantWriteError, ssl.SSLWantReadError):
            return 0
        except OSError as error:
            raise _stdlib_lost(error, "the connection broke while writing") from None

    def pending(self) -> int:
        """Tell how many decrypted bytes wait, of which epoll knows nothing."""
        return self._sock.pending()

    def facts(self) -> TlsFacts:
        """Tell what was negotiated; the standard library cannot name the group before Python 3.15."""
        cipher = self._sock.cipher()
        asked = getattr(self._sock, "asked_name", "")
        return shared_facts(self._sock.version() or "", cipher[0] if cipher else "", "", asked)

    def presented(self) -> tuple[bytes, ...]:
        """Give nothing: a client is never asked for a certificate here."""
        return ()

    def engine_errors(self) -> tuple[EngineError, ...]:
        """Give nothing: there is no path to check."""
        return ()

    def close(self) -> None:
        """Send close_notify if it can leave at once, and close the socket."""
        try:
            self._sock.unwrap()
        except (OSError, ValueError):
            pass  # WANT_READ means that it has left; anything else, that nobody is there to read it
        finally:
            self._sock.close()


def _stdlib_reason(error: ssl.SSLError) -> str:
    return (error.reason or "TLS failed without a reason").replace("_", " ").lower()


def _stdlib_lost(error: OSError, otherwise: str) -> TlsError:
    if isinstance(error, ssl.SSLError) and not isinstance(error, ssl.SSLEOFError):
        return lost(_stdlib_reason(error))
    return TlsError(f"{otherwise} ({error.strerror or 'EOF'})")
