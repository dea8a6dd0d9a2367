"""TLS over pyOpenSSL on a non-blocking socket; the verify callback records what the judge needs.

OpenSSL reads and writes the socket itself during the handshake. It reads each record in two calls. So after the handshake we read
and write the socket: one call brings all records that have come.
"""

from __future__ import annotations

import errno
import socket
import struct
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from OpenSSL import SSL, crypto

from sipmesh.errors import OperatorError
from sipmesh.transport.sockets import address_of, peeked, unread
from sipmesh.transport.tls.key_fault import key_fault
from sipmesh.transport.tls.results import (
    NOT_TLS,
    RECORD,
    HandshakeError,
    Progress,
    TlsError,
    failed,
    lost,
    shared_facts,
)
from sipmesh.transport.tls.tiny_records import MOST_TINY, tiny_records
from sipmesh.trust.evidence import EngineError
from sipmesh.trust.path.openssl_errors import TEXTS, UNFIT_KEY, is_left_to_us

if TYPE_CHECKING:
    from sipmesh.trust.evidence import TlsFacts

# pyOpenSSL's own steps for one record, without two costs: its recv allocates 16 KiB for each record, and its send checks
# its arguments. Together they cost as much as the TLS itself. Everything else, errors above all, is left to pyOpenSSL.
_BINDING: Final[Any] = SSL
_FFI: Final[Any] = _BINDING._ffi
_SSL_READ: Final[Any] = _BINDING._lib.SSL_read
_SSL_WRITE: Final[Any] = _BINDING._lib.SSL_write
_SSL_GET_ERROR: Final[Any] = _BINDING._lib.SSL_get_error
_SSL_GET_SESSION: Final[Any] = _BINDING._lib.SSL_get_session
_SSL_SET_BIO: Final[Any] = _BINDING._lib.SSL_set_bio
_SET_GROUPS: Final[Any] = _BINDING._lib.SSL_CTX_set1_curves_list  # SSL_CTX_set1_groups_list under its older name
_BIO_NEW: Final[Any] = _BINDING._lib.BIO_new
_MEMORY: Final[Any] = _BINDING._lib.BIO_s_mem()
_BIO_READ: Final[Any] = _BINDING._lib.BIO_read
_BIO_WRITE: Final[Any] = _BINDING._lib.BIO_write
_BIO_PENDING: Final[Any] = _BINDING._lib.BIO_get_mem_data
_NULL: Final[Any] = _FFI.NULL
_WANT_READ: Final[int] = _BINDING._lib.SSL_ERROR_WANT_READ

MOST_AFTER_HANDSHAKE: Final = 256
"""Steps of TLS on one link after its handshake. OpenSSL counts no KeyUpdate and no session ticket of a peer, and works on them
until none is left to read: for so long one peer would stop this process. A KeyUpdate is one step or two, and is due each 2**24
records or later; a server sends a few tickets."""


TINY_HELLO: Final = "a ClientHello in too many records of a few octets"
"""Why a ClientHello is not read."""

LOOKED_AT: Final = 512
"""Octets of a ClientHello that are read without a look at their records: the common one is not longer."""

TOO_MUCH_WORK: Final = "the peer sends TLS messages without end, such as HelloRequest"
"""Why a handshake was cut."""

DROPPED_AT_ONCE: Final = 262_144
"""Octets of one read where a handshake was cut."""

SEALED: Final = 32_768
"""Octets that are read from a socket at once. A record fits, with all that OpenSSL may write of its own before it."""

RESET: Final = struct.pack("ii", 1, 0)
"""SO_LINGER without time: a peer that has filled our buffer would wait for a minute to learn that the connection is gone."""


def _on_step(connection: SSL.Connection, where: int, _code: int) -> None:
    """Count one step of TLS after the handshake; OpenSSL calls this for each message that is not application data."""
    tls: PyOpenSslTls | None = connection.get_app_data()
    if tls is None:
        return
    tls.has_answer = True
    if where & SSL.SSL_CB_LOOP:
        tls.stepped()


def _established() -> SSL.Context:
    """Make the context of all connections after their handshake: it presents nothing, and only tells of further steps."""
    context = SSL.Context(SSL.TLS_METHOD)
    context.set_info_callback(_on_step)
    return context


_ESTABLISHED: Final = _established()


class Room:
    """The buffers of TLS: one of each for all links of a reactor. OpenSSL decrypts into *space*, of *size* octets.

    *sealed* has the encrypted octets on their way from or to the socket. The memory belongs to cffi: memory of Python, passed by
    ``from_buffer`` of a memoryview, crashed CPython 3.11's collector.
    """

    __slots__ = ("sealed", "sealed_view", "size", "space", "view")

    def __init__(self, size: int = RECORD) -> None:
        self.size = size
        self.space: Any = _FFI.new("char[]", size)
        self.view: Any = _FFI.buffer(self.space)
        self.sealed: Any = _FFI.new("char[]", SEALED)
        self.sealed_view: Any = _FFI.buffer(self.sealed)


def require_group(context: SSL.Context, group: str) -> None:
    """Let links of a *context* exchange keys by one *group* only; raises `OperatorError` if OpenSSL does not know it."""
    if _SET_GROUPS(context._context, group.encode()) != 1:
        raise OperatorError(f"OpenSSL does not know the key exchange {group} here; update pyOpenSSL and cryptography")


class PyOpenSslTls:
    """One TLS connection on one non-blocking socket.

    ``read`` returns what arrived, ``b""`` if nothing is there now, and None after close_notify. ``write`` returns how many
    octets were accepted; 0 means that the socket is full, and the next call must start with exactly the same octets.
    Both are for a link whose handshake is done.

    *has_more*: the last read has left octets, here or in the socket. *has_answer*: OpenSSL has written something of its own, such
    as an alert. *stapled*: the OCSP response of the peer, in DER; empty if it has stapled none, or was not asked to.
    """

    __slots__ = (
        "_asking",
        "_connection",
        "_errors",
        "_in",
        "_is_cut",
        "_is_full",
        "_left",
        "_opening",
        "_out",
        "_seen",
        "_sock",
        "_ssl",
        "_steps",
        "_taken",
        "_tiny",
        "_unsent",
        "has_answer",
        "has_more",
        "stapled",
    )

    def __init__(
        self,
        context: SSL.Context,
        sock: socket.socket,
        *,
        opening: bool,
        name: str = "",
        protocol: str = "",
        asks_for_staple: bool = False,
    ) -> None:
        self._sock, self._opening, self._steps, self._tiny, self._is_cut = sock, opening, 0, 0, False
        self.has_more = self.has_answer = False
        self.stapled = b""
        self._in: Any = None  # where OpenSSL reads and writes encrypted octets after the handshake
        self._out: Any = None
        self._left = 0  # octets that were read from the socket, and not by our caller
        self._is_full = False  # whether the last read of the socket brought all that was asked for: there may be more
        self._unsent = b""  # encrypted octets that the socket did not accept
        self._taken = 0  # octets of the caller that are in them
        self._errors: list[EngineError] | None = None  # created with the first error: most links have none
        self._seen: dict[int, bytes] | None = None
        self._asking: SSL.Context | None = (
            context  # OpenSSL calls its callback until the handshake ends, also after a change
        )
        self._connection = SSL.Connection(context, sock)
        self._ssl: Any = self._connection._ssl
        self._connection.set_app_data(self)
        if not opening:
            self._connection.set_accept_state()
            return
        self._connection.set_connect_state()
        if name:
            self._connection.set_tlsext_host_name(name.encode("ascii"))
        if protocol:
            self._connection.set_alpn_protos([protocol.encode("ascii")])
        if asks_for_staple:
            self._connection.request_ocsp()

    def fileno(self) -> int:
        """Give the socket's descriptor."""
        return self._sock.fileno()

    @property
    def greeted(self) -> bool:
        """Whether a complete ClientHello has arrived: OpenSSL makes the session from it."""
        return bool(_SSL_GET_SESSION(self._ssl) != _NULL)

    def local_address(self) -> str:
        """Return the IP address of this end; empty if the connection is gone, or is no connection over IP."""
        try:
            name = self._sock.getsockname()
        except OSError:
            return ""
        return address_of(name)[0] if isinstance(name, tuple) else ""

    def handshake(self) -> Progress:
        """Take one step of the handshake; raises :class:`HandshakeError`."""
        if not self._opening and self.unread() > LOOKED_AT and not self.greeted:
            self._look_at_records()
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
        self._connection.set_context(_ESTABLISHED)
        self._asking = None
        self._take_over()
        return Progress.DONE

    def _take_over(self) -> None:
        """Read and write the socket ourselves from now on; OpenSSL has read no octet behind the handshake."""
        self._in, self._out = _BIO_NEW(_MEMORY), _BIO_NEW(_MEMORY)
        _SSL_SET_BIO(self._ssl, self._in, self._out)  # it owns them, and has let go of the socket

    def _look_at_records(self) -> None:
        """Raise :class:`HandshakeError` if the ClientHello has too many tiny records: OpenSSL would read all of them at once."""
        self._tiny += tiny_records(peeked(self._sock, self.unread()))
        if self._tiny > MOST_TINY:
            raise HandshakeError("handshake-failed", TINY_HELLO)

    def stepped(self) -> None:
        """Count a step after the handshake. At the limit OpenSSL reads no further: it takes the connection for closed."""
        self._steps += 1
        if self._steps > MOST_AFTER_HANDSHAKE:
            self._connection.set_shutdown(SSL.RECEIVED_SHUTDOWN)

    def cut(self) -> None:
        """End the current call of `handshake`, from another thread; that call raises :class:`HandshakeError`.

        What has arrived is dropped: OpenSSL would work on all of it first. The close resets the connection.
        """
        self._is_cut = True
        with suppress(OSError):
            self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            self._sock.shutdown(socket.SHUT_RDWR)
            while self._sock.recv(DROPPED_AT_ONCE):
                pass

    def _closed_early(self, how: str) -> HandshakeError:
        """Return the error for an early close: a peer that refuses should send an alert (RFC 8446 4.4.2.4); many only close."""
        if self._is_cut:
            return HandshakeError("handshake-failed", TOO_MUCH_WORK)
        code = "refused-by-peer" if self._opening else "handshake-failed"
        return HandshakeError(code, f"the peer closed the connection during the handshake ({how})")

    def _refused(self, reason: str) -> HandshakeError:
        if self._is_cut:
            return HandshakeError("handshake-failed", TOO_MUCH_WORK)
        decisive = [error for error in self.engine_errors() if not is_left_to_us(error)]
        if decisive:
            last = decisive[-1]
            return HandshakeError("handshake-failed", f"{last.text} (OpenSSL error {last.code} at depth {last.depth})")
        return failed(reason, opening=self._opening, arrived=peeked(self._sock) if reason in NOT_TLS else b"")

    def verified(self, certificate: crypto.X509, code: int, depth: int) -> bool:
        """Record one step of OpenSSL's path check; False ends the handshake with the alert for that error.

        Each certificate comes here without an error, too, before a signature is verified with its key.
        """
        if code != 0:
            error = EngineError(depth, code, TEXTS.get(code, f"OpenSSL error {code}"))
        elif fault := key_fault(certificate):
            error = EngineError(depth, UNFIT_KEY[depth > 0], fault)
        else:
            return True
        self._errors, self._seen = self._errors or [], self._seen or {}
        self._errors.append(error)
        self._seen[depth] = crypto.dump_certificate(crypto.FILETYPE_ASN1, certificate)
        return is_left_to_us(error)

    def read(self, room: Room, most: int = SEALED) -> bytes | None:
        """Read the plaintext of one record through *room*; raises :class:`TlsError`.

        If no record is here, the socket is read once: *most* octets, or as many as there is room for.
        """
        self.has_more = False
        if self._left == 0:
            asked = min(most, SEALED)
            came = self._receive(room, asked)
            self._is_full = came == asked
            if came == 0:
                return b""
        count: int = _SSL_READ(self._ssl, room.space, room.size)
        if self.has_answer:
            self._send_answer(room)
        if count > 0:
            data: bytes = room.view[:count]
            left: int = _BIO_PENDING(self._in, _NULL)
            if count == room.size:
                left += self._connection.pending()
            self._left = left
            self.has_more = left > 0 or self._is_full
            return data
        return self._not_read(count)

    def _receive(self, room: Room, most: int) -> int:
        """Give OpenSSL what has come, *most* octets of it, and return how many; raises :class:`TlsError`."""
        try:
            came = self._sock.recv_into(room.sealed_view, most)
        except (BlockingIOError, InterruptedError):
            return 0
        except OSError as gone:
            raise TlsError(f"the peer closed without close_notify ({_name_of(gone)})") from None
        if came == 0:
            raise TlsError("the peer closed without close_notify (Unexpected EOF)")
        _BIO_WRITE(self._in, room.sealed, came)
        return came

    def _not_read(self, count: int) -> bytes | None:
        """Return what a read without plaintext means; raises :class:`TlsError`."""
        self._left = 0
        if _SSL_GET_ERROR(self._ssl, count) == _WANT_READ:  # a part of a record
            self.has_more = self._is_full
            return b""
        try:
            self._connection._raise_ssl_error(self._ssl, count)
        except (SSL.WantReadError, SSL.WantWriteError):
            return b""
        except SSL.ZeroReturnError:
            if self._steps > MOST_AFTER_HANDSHAKE:
                raise TlsError("too many TLS messages after the handshake, such as KeyUpdate") from None
            return None
        except SSL.SysCallError as gone:
            raise TlsError(f"the peer closed without close_notify ({gone.args[-1]})") from None
        except SSL.Error as error:
            raise lost(_reason(error)) from None
        return b""

    def write(self, data: bytes | memoryview, room: Room) -> int:
        """Write as much as the socket accepts through *room*; returns the octets; raises :class:`TlsError`."""
        if self._unsent and not self._send_rest():
            return 0
        if self._taken:
            taken, self._taken = self._taken, 0
            return taken
        try:
            count = self._seal(data)
        except (SSL.WantWriteError, SSL.WantReadError):
            return 0
        except SSL.SysCallError as gone:
            raise TlsError(f"the connection broke while writing ({gone.args[-1]})") from None
        except SSL.Error as error:
            raise lost(_reason(error)) from None
        if self._send_sealed(room):
            return count
        self._taken = count
        return 0

    def _seal(self, data: bytes | memoryview) -> int:
        if not isinstance(data, bytes):
            return self._connection.send(data)
        count: int = _SSL_WRITE(self._ssl, data, len(data))
        if count <= 0:
            self._connection._raise_ssl_error(self._ssl, count)
        return count

    def _send_sealed(self, room: Room) -> bool:
        """Send what OpenSSL has encrypted; returns whether the socket has accepted all of it."""
        count: int = _BIO_READ(self._out, room.sealed, SEALED)
        if count <= 0:
            return True
        self._unsent = room.sealed_view[:count]
        return self._send_rest()

    def _send_rest(self) -> bool:
        """Send what waits for the socket; returns whether it has accepted all of it."""
        unsent = self._unsent
        try:
            count = self._sock.send(unsent)
        except (BlockingIOError, InterruptedError):
            return False
        except OSError as gone:
            raise TlsError(f"the connection broke while writing ({_name_of(gone)})") from None
        if count == len(unsent):
            self._unsent = b""
            return True
        self._unsent = unsent[count:]
        return False

    def _send_answer(self, room: Room) -> None:
        """Send what OpenSSL has written of its own. What a full socket lets wait is bounded by `MOST_AFTER_HANDSHAKE`."""
        with suppress(TlsError):  # the next read tells why the connection has ended
            self.has_answer = not ((not self._unsent or self._send_rest()) and self._send_sealed(room))

    def pending(self) -> int:
        """Return how many octets the last read has left here, decrypted or not; epoll does not report them."""
        return self._left

    def unread(self) -> int:
        """Tell how many encrypted octets wait, here and in the socket."""
        return self._left + unread(self._sock.fileno())

    def hello_time(self) -> int | None:
        """Return the first octets of the ServerHello's random as seconds since 1970, None if we did not open the connection.

        A server port of ours sends its time there (RFC 5246 7.4.1.2), others may send random octets.
        """
        hello = self._connection.server_random() if self._opening else None
        return int.from_bytes(hello[:4], "big") or None if hello else None

    def facts(self) -> TlsFacts:
        """Return TLS version, cipher suite, group, application protocol and, if accepted, the SNI that the peer sent."""
        connection = self._connection
        sni = connection.get_servername() if not self._opening else None
        return shared_facts(
            connection.get_protocol_version_name(),
            connection.get_cipher_name() or "",
            connection.get_group_name() or "",
            sni.decode("ascii", "replace") if sni else "",
            connection.get_alpn_proto_negotiated().decode("ascii"),
        )

    def presented(self) -> tuple[bytes, ...]:
        """Return the peer's certificates in DER, leaf first.

        After the verify callback has refused, OpenSSL no longer gives the peer's certificate. Then the result is the chain as
        OpenSSL built it (from ``get_verified_chain``, although it is not verified), or else what the callback saw.
        """
        leaf = self._connection.get_peer_certificate()
        chain = self._connection.get_peer_cert_chain() if leaf else self._connection.get_verified_chain()
        ders = [
            crypto.dump_certificate(crypto.FILETYPE_ASN1, certificate)
            for certificate in ([leaf] if leaf else []) + (chain or [])
        ]
        return tuple(dict.fromkeys(ders)) or tuple(der for _, der in sorted((self._seen or {}).items()))

    def engine_errors(self) -> tuple[EngineError, ...]:
        """Return every error of OpenSSL's path check, in the order of the checks."""
        return tuple(self._errors or ())

    def close(self) -> None:
        """Send close_notify if the socket accepts it at once, and close the socket."""
        try:
            self.leave()
        finally:
            self._sock.close()

    def leave(self) -> socket.socket:
        """Send close_notify if the socket accepts it at once, and return the socket; the caller closes it."""
        try:
            self._connection.shutdown()
        except SSL.Error:
            pass  # the peer is gone, or the handshake never finished: no close_notify is possible
        finally:
            self._connection.set_app_data(None)  # breaks a reference cycle that only the garbage collector could free
        if self._out is not None:
            self._send_last()
        return self._sock

    def _send_last(self) -> None:
        """Send what OpenSSL has written last: close_notify, or the alert that tells the peer what was wrong."""
        with suppress(TlsError):
            if not self._unsent or self._send_rest():
                self._send_sealed(Room(1))


def _name_of(gone: OSError) -> str:
    """Return the name of the error of a socket, such as ECONNRESET."""
    return errno.errorcode.get(gone.errno or 0, str(gone))


def _reason(error: SSL.Error) -> str:
    """Return the reason from pyOpenSSL's list of (library, function, reason), in lower case."""
    entries = error.args[0] if error.args and isinstance(error.args[0], list) else []
    return str(entries[0][-1]).lower() if entries else "TLS failed without a reason"
