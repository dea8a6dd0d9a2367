"""Connects to a port with any certificate, and reports the result: a real connection, with OpenSSL and without our code."""

from __future__ import annotations

import re
import socket
from dataclasses import dataclass

from OpenSSL import SSL

from sipmesh.demo.forge import Forged
from sipmesh.transport.tls.contexts import use_key

PATIENCE_S = 5.0
READ_SIZE = 65_536
STATUS_LINE = re.compile(rb"(SIP/2\.0 \d{3} [^\r\n]*)\r\n")

PROBE = (
    "OPTIONS sip:{host};transport=tls SIP/2.0\r\n"
    "Via: SIP/2.0/TLS {local};branch=z9hG4bK-probe-{port}\r\n"
    "Max-Forwards: 70\r\nFrom: <sip:{domain}>;tag=probe\r\nTo: <sip:{host}>\r\n"
    "Call-ID: probe-{port}\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n"
)


@dataclass(frozen=True, slots=True)
class Knock:
    """The result of a connection: *local* is our end, *answer* the status line if there was one, *alert* why there was none."""

    local: tuple[str, int]
    answer: str = ""
    alert: str = ""

    @property
    def served(self) -> bool:
        """Whether the port answered with SIP."""
        return self.answer.startswith("SIP/2.0 ")


def knock(
    address: tuple[str, int],
    credentials: Forged | None,
    *,
    name: str,
    domain: str,
    highest: int | None = None,
    message: bytes | None = None,
) -> Knock:
    """Open a TLS connection with the certificate *credentials*, send OPTIONS (or *message*), and wait for an answer.

    In TLS 1.3 our handshake ends before the server has checked our certificate: only an answer shows that it was accepted.
    """
    with socket.create_connection(address, PATIENCE_S) as raw:
        local = raw.getsockname()[:2]
        raw.settimeout(None)
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, _timeval(PATIENCE_S))
        tls = SSL.Connection(_context(credentials, highest), raw)
        tls.set_tlsext_host_name(name.encode())
        tls.set_connect_state()
        probe = PROBE.format(host=name, local=f"{local[0]}:{local[1]}", port=local[1], domain=domain)
        return Knock(local, *_talk(tls, message or probe.encode()))


def _talk(tls: SSL.Connection, message: bytes) -> tuple[str, str]:
    """Return the first line of the answer, or how the connection ended instead."""
    try:
        tls.do_handshake()
        tls.sendall(message)
        return _first_answer(tls).decode(errors="replace"), ""
    except SSL.ZeroReturnError:
        return "", "closed"
    except SSL.SysCallError as error:
        return "", f"closed ({error.args[-1]})"
    except SSL.WantReadError:
        return "", "no answer"
    except SSL.Error as error:
        return "", str(error.args[0][-1][-1]) if error.args and error.args[0] else "TLS error"


def _first_answer(tls: SSL.Connection) -> bytes:
    """Return the first line that is no request: a managed server subscribes on a link before it answers there."""
    octets = tls.recv(READ_SIZE)
    if not octets.split(b"\r\n")[0].endswith(b" SIP/2.0"):
        return bytes(octets.split(b"\r\n")[0])
    while (found := STATUS_LINE.search(octets)) is None:
        octets += tls.recv(READ_SIZE)
    return found[1]


def _context(credentials: Forged | None, highest: int | None) -> SSL.Context:
    """Return a context that trusts every peer and presents any certificate."""
    context = SSL.Context(SSL.TLS_METHOD)
    context.set_cipher_list(b"ALL:@SECLEVEL=0")
    if highest is not None:
        context.set_min_proto_version(SSL.TLS1_VERSION)
        context.set_max_proto_version(highest)
    if credentials is not None:
        leaf, *others = credentials.chain
        context.use_certificate(leaf)
        for certificate in others:
            context.add_extra_chain_cert(certificate)
        use_key(context, credentials.key)
    return context


def _timeval(seconds: float) -> bytes:
    whole = int(seconds)
    return whole.to_bytes(8, "little") + int((seconds - whole) * 1_000_000).to_bytes(8, "little")


def speak_plainly(address: tuple[str, int], name: str) -> Knock:
    """Send OPTIONS over plain TCP, and wait for an answer."""
    with socket.create_connection(address, PATIENCE_S) as raw:
        local = raw.getsockname()[:2]
        probe = PROBE.format(host=name, local=f"{local[0]}:{local[1]}", port=local[1], domain=name)
        try:
            raw.sendall(probe.replace("SIP/2.0/TLS", "SIP/2.0/TCP").encode())
            first = raw.recv(READ_SIZE)
        except OSError as error:
            return Knock(local, alert=f"closed ({error.strerror})")
    text = first.decode("latin-1")
    return (
        Knock(local, answer=text.split("\r\n")[0]) if text.startswith("SIP/") else Knock(local, alert=_describe(first))
    )


def _describe(first: bytes) -> str:
    if not first:
        return "closed"
    return "a TLS alert" if first[:1] == b"\x15" else f"{len(first)} bytes that are no SIP"


def send_datagram(address: tuple[str, int], name: str, patience_s: float = 0.3) -> Knock:
    """Send OPTIONS over UDP; without a listener the kernel reports it, or nothing arrives."""
    with socket.socket(socket.AF_INET6 if ":" in address[0] else socket.AF_INET, socket.SOCK_DGRAM) as raw:
        raw.settimeout(patience_s)
        raw.connect(address)
        local = raw.getsockname()[:2]
        raw.send(PROBE.format(host=name, local=f"{local[0]}:{local[1]}", port=local[1], domain=name).encode())
        try:
            return Knock(local, answer=raw.recv(READ_SIZE).split(b"\r\n")[0].decode(errors="replace"))
        except ConnectionRefusedError:
            return Knock(local, alert="nothing listens on UDP")
        except TimeoutError:
            return Knock(local, alert="no answer")
