"""TLS over pyOpenSSL, on the non-blocking socket itself; the verify callback records what the judge needs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from OpenSSL import SSL, crypto

from sipmesh.transport.sockets import unread
from sipmesh.transport.tls.results import RECORD, HandshakeError, Progress, TlsError, failed, lost, shared_facts
from sipmesh.trust.evidence import EngineError
from sipmesh.trust.path.openssl_errors import is_left_to_us

if TYPE_CHECKING:
    import socket

    from sipmesh.trust.evidence import TlsFacts

# pyOpenSSL's own steps for one record, without the 16 KiB that its recv allocates for each and without the checks of its
# send: they cost as much as the TLS itself. What is not a record is left to pyOpenSSL, errors above all.
_BINDING: Final[Any] = SSL
_FFI: Final[Any] = _BINDING._ffi
_SSL_READ: Final[Any] = _BINDING._lib.SSL_read
_SSL_WRITE: Final[Any] = _BINDING._lib.SSL_write
_SSL_GET_ERROR: Final[Any] = _BINDING._lib.SSL_get_error
_WANT_READ: Final[int] = _BINDING._lib.SSL_ERROR_WANT_READ

VERIFY_TEXTS: Final = {
    2: "unable to get issuer certificate",
    3: "unable to get certificate CRL",
    7: "certificate signature failure",
    9: "certificate is not yet valid",
    10: "certificate has expired",
    12: "CRL has expired",
    18: "self-signed certificate",
    19: "self-signed certificate in certificate chain",
    20: "unable to get local issuer certificate",
    21: "unable to verify the first certificate",
    24: "invalid CA certificate",
    25: "path length constraint exceeded",
    26: "unsuitable certificate purpose",
    32: "key usage does not include certificate signing",
    34: "unhandled critical extension",
    47: "permitted subtree violation",
    48: "excluded subtree violation",
    51: "unsupported name constraint type",
    52: "unsupported or invalid name constraint syntax",
    53: "unsupported or invalid name syntax",
    66: "EE certificate key too weak",
    67: "CA certificate key too weak",
    68: "CA signature digest algorithm too weak",
    79: "invalid CA certificate",
    81: "path length given without key usage keyCertSign",
    82: "key usage keyCertSign invalid for non-CA certificate",
    85: "missing authority key identifier",
    86: "missing subject key identifier",
    92: "CA certificate does not include key usage extension",
}


class Room:
    """Where OpenSSL puts what it has decrypted: one for all links of a reactor. *size* is in octets.

    cffi's own memory: Python's, lent by ``from_buffer`` of a memoryview, brought the collector of CPython 3.11 down.
    """

    __slots__ = ("size", "space", "view")

    def __init__(self, size: int = RECORD) -> None:
        self.size = size
        self.space: Any = _FFI.new("char[]", size)
        self.view: Any = _FFI.buffer(self.space)


class PyOpenSslTls:
    """One TLS connection on one non-blocking socket.

    ``read`` returns what arrived, ``b""`` where nothing is there now, and ``None`` after close_notify. ``write`` returns
    how many bytes were taken; 0 means that the socket is full, and the next call must begin with the very same bytes.
    """

    __slots__ = ("_connection", "_errors", "_opening", "_seen", "_sock", "_ssl")

    def __init__(self, context: SSL.Context, sock: socket.socket, *, opening: bool, name: str = "") -> None:
        self._sock, self._opening = sock, opening
        self._errors: list[EngineError] | None = None  # made with the first one: most links never have any
        self._seen: dict[int, bytes] | None = None
        self._connection = SSL.Connection(context, sock)
        self._ssl: Any = self._connection._ssl
        self._connection.set_app_data(self)
        if not opening:
            self._connection.set_accept_state()
            return
        self._connection.set_connect_state()
        if name:
            self._connection.set_tlsext_host_name(name.encode("ascii"))

    def __repr__(self) -> str:
        return f"<PyOpenSslTls fd={self._sock.fileno()} {self._connection.get_state_string().decode().strip()}>"

    def fileno(self) -> int:
        """Give the socket's descriptor."""
        return self._sock.fileno()

    @property
    def greeted(self) -> bool:
        """Whether a whole ClientHello has come; OpenSSL draws the client's random from it."""
        return self._connection.client_random() is not None

    def handshake(self) -> Progress:
        """Take one step; raises :class:`HandshakeError`."""
        try:
            self._connection.do_handshake()
        except SSL.WantReadError:
            return Progress.WANT_READ
        except SSL.WantWriteError:
            return Progress.WANT_WRITE
        except SSL.SysCallError as gone:
            raise self._closed_early(str(gone.args[-1])) from None
        except SSL.ZeroReturnError:
            raise self._closed_early("close_notify") from None
        except SSL.Error as error:
            raise self._refused(_reason(error)) from None
        return Progress.DONE

    def _closed_early(self, how: str) -> HandshakeError:
        """RFC 8446 4.4.2.4 wants an alert from a peer that refuses; many phones and proxies only close."""
        code = "refused-by-peer" if self._opening else "handshake-failed"
        return HandshakeError(code, f"the peer closed the connection during the handshake ({how})")

    def _refused(self, reason: str) -> HandshakeError:
        stands = [error for error in self.engine_errors() if not is_left_to_us(error)]
        if stands:
            last = stands[-1]
            return HandshakeError("handshake-failed", f"{last.text} (OpenSSL error {last.code} at depth {last.depth})")
        return failed(reason, opening=self._opening)

    def verified(self, certificate: crypto.X509, code: int, depth: int) -> bool:
        """Record one step of OpenSSL's path check; False ends the handshake with the alert of that very error."""
        if code == 0:
            return True
        error = EngineError(depth, code, VERIFY_TEXTS.get(code, f"OpenSSL error {code}"))
        self._errors, self._seen = self._errors or [], self._seen or {}
        self._errors.append(error)
        self._seen[depth] = crypto.dump_certificate(crypto.FILETYPE_ASN1, certificate)
        return is_left_to_us(error)

    def read(self, room: Room) -> bytes | None:
        """Read what one record holds, by way of *room*; raises :class:`TlsError`."""
        count: int = _SSL_READ(self._ssl, room.space, room.size)
        if count > 0:
            data: bytes = room.view[:count]
            return data
        if _SSL_GET_ERROR(self._ssl, count) == _WANT_READ:  # at the end of every burst: no exception for that
            return b""
        try:
            self._connection._raise_ssl_error(self._ssl, count)
        except (SSL.WantReadError, SSL.WantWriteError):
            return b""
        except SSL.ZeroReturnError:
            return None
        except SSL.SysCallError as gone:
            raise TlsError(f"the peer closed without close_notify ({gone.args[-1]})") from None
        except SSL.Error as error:
            raise lost(_reason(error)) from None
        return b""

    def write(self, data: bytes | memoryview) -> int:
        """Write as much as the socket takes; raises :class:`TlsError`."""
        try:
            return self._send(data)
        except (SSL.WantWriteError, SSL.WantReadError):
            return 0
        except SSL.SysCallError as gone:
            raise TlsError(f"the connection broke while writing ({gone.args[-1]})") from None
        except SSL.Error as error:
            raise lost(_reason(error)) from None

    def _send(self, data: bytes | memoryview) -> int:
        if not isinstance(data, bytes):
            return self._connection.send(data)
        count: int = _SSL_WRITE(self._ssl, data, len(data))
        if count <= 0:
            self._connection._raise_ssl_error(self._ssl, count)
        return count

    def pending(self) -> int:
        """Tell how many decrypted bytes wait, of which epoll knows nothing."""
        return self._connection.pending()

    def unread(self) -> int:
        """Tell how many encrypted octets wait in the socket."""
        return unread(self._sock.fileno())

    def facts(self) -> TlsFacts:
        """Tell what was negotiated."""
        connection = self._connection
        asked = connection.get_servername() if not self._opening else None
        return shared_facts(
            connection.get_protocol_version_name(),
            connection.get_cipher_name() or "",
            connection.get_group_name() or "",
            asked.decode("ascii", "replace") if asked else "",
        )

    def presented(self) -> tuple[bytes, ...]:
        """Give the peer's certificates in DER, leaf first.

        After a refusal by the verify callback OpenSSL no longer knows the peer's certificate: then the chain as built
        (``get_verified_chain``, whose name lies), else what the callback saw.
        """
        leaf = self._connection.get_peer_certificate()
        chain = self._connection.get_peer_cert_chain() if leaf else self._connection.get_verified_chain()
        ders = [crypto.dump_certificate(crypto.FILETYPE_ASN1, one) for one in ([leaf] if leaf else []) + (chain or [])]
        return tuple(dict.fromkeys(ders)) or tuple(der for _, der in sorted((self._seen or {}).items()))

    def engine_errors(self) -> tuple[EngineError, ...]:
        """Give every error of OpenSSL's path check, in the order it was met."""
        return tuple(self._errors or ())

    def close(self) -> None:
        """Send close_notify if it can leave at once, and close the socket."""
        try:
            self.leave()
        finally:
            self._sock.close()

    def leave(self) -> socket.socket:
        """Send close_notify if it can leave at once, and give the socket to whoever closes it."""
        try:
            self._connection.shutdown()
        except SSL.Error:
            pass  # the peer is gone, or there never was a handshake: nothing to say goodbye to
        finally:
            self._connection.set_app_data(None)  # a cycle, which only the collector could free
        return self._sock


def _reason(error: SSL.Error) -> str:
    """Take the reason out of pyOpenSSL's list of (library, function, reason)."""
    entries = error.args[0] if error.args and isinstance(error.args[0], list) else []
    return str(entries[0][-1]).lower() if entries else "TLS failed without a reason"
