"""A server that answers every client with any certificate: the far end of a hijacked link, and of its control."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from types import TracebackType
from typing import Self

from OpenSSL import SSL

from sipmesh.demo.forge import Forged
from sipmesh.sip.framing import MessageReader, ReadLimits
from sipmesh.sip.message import Request, respond
from sipmesh.transport.tls.contexts import use_key

READ_SIZE = 65_536
FAREWELL_S = 2.0


class Decoy:
    """Listens on its own port, requests a certificate but checks none, and answers every request with 200.

    *received* counts the requests: a request for another server must never arrive.
    """

    def __init__(self, credentials: Forged, host: str = "127.0.0.1", *, mutual: bool = True) -> None:
        self._context = _context(credentials, mutual=mutual)
        self._listening = socket.create_server((host, 0))
        self.address: tuple[str, int] = self._listening.getsockname()[:2]
        self.received = 0
        self._thread = threading.Thread(target=self._accept, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, _type: type[BaseException] | None, _error: object, _trace: TracebackType | None) -> None:
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        self._thread.join()

    def _accept(self) -> None:
        served: list[threading.Thread] = []
        while True:
            try:
                raw, _ = self._listening.accept()
            except OSError:
                break
            served.append(threading.Thread(target=self._serve, args=(raw,), daemon=True))
            served[-1].start()

    def _serve(self, raw: socket.socket) -> None:
        tls = SSL.Connection(self._context, raw)
        tls.set_accept_state()
        reader = MessageReader(ReadLimits())
        try:
            tls.do_handshake()
            while chunk := tls.recv(READ_SIZE):
                for item in reader.feed(chunk):
                    if isinstance(item, Request):
                        self.received += 1
                        tls.sendall(respond(item, 200).encode())
        except SSL.Error:
            pass
        finally:
            _hang_up(raw)


def _hang_up(raw: socket.socket) -> None:
    """Close a connection after its peer: if something was left unread, the kernel would discard the TLS alert too."""
    with raw, suppress(OSError):
        raw.settimeout(FAREWELL_S)
        raw.shutdown(socket.SHUT_WR)
        while raw.recv(READ_SIZE):
            pass


def _context(credentials: Forged, *, mutual: bool) -> SSL.Context:
    context = SSL.Context(SSL.TLS_METHOD)
    leaf, *others = credentials.chain
    context.use_certificate(leaf)
    for certificate in others:
        context.add_extra_chain_cert(certificate)
    use_key(context, credentials.key)
    if mutual:
        context.set_verify(SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT, lambda *_: True)
    return context
