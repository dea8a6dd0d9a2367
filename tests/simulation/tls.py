"""TLS without cryptography: each end shows its certificate chain, and the product's judge decides about it as usual."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from cryptography.hazmat.primitives.serialization import Encoding

from simulation.virtual_sockets import Record, VirtualSocket
from sipmesh.transport.tls.pyopenssl import SEALED, PyOpenSslTls, Room
from sipmesh.transport.tls.results import HandshakeError, Progress, TlsError, shared_facts
from sipmesh.trust.evidence import EngineError, TlsFacts

if TYPE_CHECKING:
    import socket

    from cryptography import x509


def ders(chain: tuple[x509.Certificate, ...]) -> tuple[bytes, ...]:
    """Return a chain in DER."""
    return tuple(certificate.public_bytes(Encoding.DER) for certificate in chain)


class VirtualTls(PyOpenSslTls):
    """One end of a connection: hello, the chain of the accepting end, the chain of the opening end, then data.

    *chain* is what we present; *wants* says whether the peer has to present one.
    """

    __slots__ = ("_chain", "_greeted", "_name", "_protocol", "_rest", "_said_hello", "_shown", "_virtual", "_wants")

    def __init__(
        self,
        sock: VirtualSocket,
        *,
        opening: bool,
        chain: tuple[bytes, ...],
        wants: bool,
        name: str = "",
        protocol: str = "",
    ) -> None:
        self._virtual, self._opening, self._chain, self._wants, self._name = sock, opening, chain, wants, name
        self._protocol = protocol
        self._greeted = self._said_hello = False
        self._shown: tuple[bytes, ...] = ()
        self._rest = b""
        self.has_more = False
        self.stapled = b""

    def __repr__(self) -> str:
        return f"<VirtualTls {self._virtual!r}>"

    def fileno(self) -> int:
        """See `PyOpenSslTls`."""
        return self._virtual.fileno()

    @property
    def greeted(self) -> bool:
        """Whether the hello of the opening end has arrived."""
        return self._greeted

    def hello_time(self) -> None:
        """Show no time, as a peer whose ServerHello has random octets."""

    def handshake(self) -> Progress:
        """Take one step; raises HandshakeError."""
        if self._opening and not self._said_hello:
            self._said_hello = True
            self._virtual.put(Record("hello", f"{self._name} {self._protocol}".encode()))
        while self._virtual.inbox:
            if self._step(self._virtual.take()):
                return Progress.DONE
        if self._virtual.eof or self._virtual.error:
            code = "refused-by-peer" if self._opening else "handshake-failed"
            raise HandshakeError(code, "the peer closed the connection during the handshake")
        return Progress.WANT_READ

    def _step(self, record: Record) -> bool:
        if record.kind == "hello":
            self._greeted = True
            self._name, _, self._protocol = record.data.decode().partition(" ")
            self._virtual.put(Record("server", chain=self._chain))
            return False
        if record.kind == "server":
            self._shown = record.chain
            self._virtual.put(Record("client", chain=self._chain))
            return True
        if record.kind == "client":
            if self._wants and not record.chain:
                raise HandshakeError("no-certificate", "the peer did not present a certificate")
            self._shown = record.chain if self._wants else ()
            return True
        raise HandshakeError("handshake-failed", f"{record.kind} instead of a handshake")

    def read(self, room: Room, most: int = SEALED) -> bytes | None:  # noqa: ARG002 - a record is whole
        """See `PyOpenSslTls`."""
        self.has_more = False
        if not self._rest:
            if not self._virtual.inbox:
                if self._virtual.eof or self._virtual.error:
                    raise TlsError(f"the peer closed without close_notify ({self._virtual.error})")
                return b""
            record = self._virtual.take()
            if record.kind == "close":
                return None
            self._rest = record.data
        data, self._rest = self._rest[: room.size], self._rest[room.size :]
        if self._rest:
            self._virtual.changed()
        self.has_more = bool(self._rest or self._virtual.inbox)
        return data

    def write(self, data: bytes | memoryview, room: Room) -> int:  # noqa: ARG002 - nothing is encrypted
        """See `PyOpenSslTls`."""
        if self._virtual.error:
            raise TlsError(f"the connection broke while writing ({self._virtual.error})")
        count = min(self._virtual.room, len(data))
        if count > 0:
            self._virtual.put(Record("data", bytes(data[:count])))
        return max(count, 0)

    def pending(self) -> int:
        """Return how many octets of a record are left."""
        return len(self._rest)

    def unread(self) -> int:
        """Return how many octets wait in the socket."""
        return self._virtual.unread

    def facts(self) -> TlsFacts:
        """Return what TLS 1.3 would have negotiated."""
        sni = "" if self._opening else self._name
        return shared_facts("TLSv1.3", "TLS_AES_256_GCM_SHA384", "X25519", sni, self._protocol)

    def presented(self) -> tuple[bytes, ...]:
        """Return the chain that the peer has shown."""
        return self._shown

    def engine_errors(self) -> tuple[EngineError, ...]:
        """Return nothing: the judge checks the path itself."""
        return ()

    def close(self) -> None:
        """Say close_notify, and close."""
        self.leave()
        self._virtual.close()

    def leave(self) -> socket.socket:
        """Say close_notify."""
        if not self._virtual.closed and not self._virtual.error:
            self._virtual.put(Record("close"))
        return cast("socket.socket", self._virtual)
