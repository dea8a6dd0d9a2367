"""TLS to a server of the directory, ended in this process: the LDAP library gets a socket whose other end is here.

So one TLS library, with our rules, decides about the server: its name to the letter, validity, and a CRL of each CA. The LDAP
library knows of no other server, and cannot be led to one by a referral.
"""

from __future__ import annotations

import select
import socket
import ssl
import threading
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from tempfile import NamedTemporaryFile
from typing import TYPE_CHECKING, Final

from cryptography.hazmat.primitives.serialization import Encoding

from sipmesh.errors import OperatorError
from sipmesh.topology.document.parts.directory import DirectoryTls
from sipmesh.trust.judgement.https_server import hosts_of, servers_named
from sipmesh.trust.x509.certificate import MalformedCertificateError, read_certificate, weakness

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from cryptography import x509

CONNECT_S: Final = 5.0
SILENT_S: Final = 30.0
"""Seconds without an octet after which a server counts as silent."""

LARGEST_ANSWER: Final = 1 << 30
"""Octets that one connection takes from a server."""

_CHUNK: Final = 65_536
_START_TLS: Final = bytes.fromhex("301d02010177188016") + b"1.3.6.1.4.1.1466.20037"
"""The extended request StartTLS (RFC 4511 section 4.14.1), with the message number 1."""

_LONGEST_RESPONSE: Final = 127
"""Octets of the response to it after its length: a longer one has no use."""


class UnusableServerError(OperatorError):
    """A server of the directory that cannot be reached, or does not prove its name."""


@dataclass(frozen=True, slots=True)
class ServerPlace:
    """One server: *host* is the name that its certificate must have. *address* proves nothing."""

    host: str
    port: int
    tls: DirectoryTls
    address: str

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


def directory_context(
    anchors: Iterable[x509.Certificate], crls: Iterable[x509.CertificateRevocationList]
) -> ssl.SSLContext:
    """Make a context that trusts *anchors* alone, and refuses a certificate without a valid CRL of its CA among *crls*."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers("ECDHE+AESGCM:ECDHE+CHACHA20")
    context.hostname_checks_common_name = False
    context.verify_flags |= ssl.VERIFY_CRL_CHECK_CHAIN | ssl.VERIFY_X509_STRICT
    with NamedTemporaryFile(suffix=".pem") as file:  # OpenSSL reads CRLs from a file alone
        for one in anchors:
            file.write(one.public_bytes(Encoding.PEM))
        for crl in crls:
            file.write(crl.public_bytes(Encoding.PEM))
        file.flush()
        context.load_verify_locations(cafile=file.name)
    return context


def open_tls(server: ServerPlace, context: ssl.SSLContext, ours: Collection[str]) -> ssl.SSLSocket:
    """Connect to *server*, and check its certificate; *ours* are the servers of the topology, which it must not name.

    Raises `UnusableServerError`.
    """
    try:
        with closing_on_error(socket.create_connection((server.address, server.port), CONNECT_S)) as plain:
            if server.tls is DirectoryTls.STARTTLS:
                _start_tls(plain, server)
            secured = context.wrap_socket(plain, server_hostname=server.host)
    except ssl.SSLCertVerificationError as wrong:
        raise UnusableServerError(f"the certificate of {server} is refused: {wrong.verify_message}") from wrong
    except ssl.SSLError as wrong:
        raise UnusableServerError(f"{server} does not speak TLS as it should: {wrong.reason}") from wrong
    except OSError as wrong:
        raise UnusableServerError(f"{server} cannot be reached: {wrong.strerror or wrong}") from wrong
    with closing_on_error(secured):
        if why := _refusal(secured.getpeercert(binary_form=True) or b"", server.host, ours):
            raise UnusableServerError(f"the certificate of {server} is refused: {why}")
    return secured


@contextmanager
def closing_on_error(opened: socket.socket) -> Iterator[socket.socket]:
    """Close *opened* if the block ends with an exception."""
    try:
        yield opened
    except BaseException:
        opened.close()
        raise


def _refusal(leaf: bytes, host: str, ours: Collection[str]) -> str:
    """Say why a certificate that OpenSSL accepts is not that of *host*: wildcards and servers of ours do not count."""
    try:
        certificate = read_certificate(leaf)
    except MalformedCertificateError as wrong:
        return str(wrong)
    if named := servers_named(certificate, ours):
        return f"it names the server {named[0]} of the topology"
    return (weakness(certificate) or "") if host in hosts_of(certificate) else f"it does not name {host} to the letter"


def _start_tls(plain: socket.socket, server: ServerPlace) -> None:
    """Ask for TLS, and read the response alone: what follows it belongs to TLS (RFC 4511 section 4.14.2)."""
    plain.sendall(_START_TLS)
    head = _exactly(plain, 2)
    if head[:1] != b"\x30" or head[1] > _LONGEST_RESPONSE:
        raise UnusableServerError(f"{server} does not speak LDAP")
    body = _exactly(plain, head[1])
    # message number 1, extended response, resultCode success
    if body[:4] != b"\x02\x01\x01\x78" or body[5:8] != b"\x0a\x01\x00":
        raise UnusableServerError(f"{server} refuses StartTLS; use `tls: ldaps`, or turn TLS on there")


def _exactly(plain: socket.socket, count: int) -> bytes:
    found = b""
    while len(found) < count:
        more = plain.recv(count - len(found))
        if not more:
            raise ConnectionResetError(0, "the connection ended")
        found += more
    return found


class Tunnel:
    """A TLS connection and a socket for the LDAP library, with a thread that carries octets between both until one ends."""

    def __init__(self, secured: ssl.SSLSocket) -> None:
        self._secured = secured
        self._ours, self.theirs = socket.socketpair()
        self._carrying = threading.Thread(target=self._carry, name="directory", daemon=True)
        self._carrying.start()

    def close(self) -> None:
        """End both sides."""
        for one in (self._secured, self._ours):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
        self._carrying.join(CONNECT_S)

    def _carry(self) -> None:
        with self._secured, self._ours, suppress(OSError):
            self._ours.settimeout(SILENT_S)
            left, heard = LARGEST_ANSWER, time.monotonic()
            while left > 0 and time.monotonic() - heard < SILENT_S:
                ready = (
                    [self._secured]
                    if self._secured.pending()
                    else select.select([self._secured, self._ours], [], [], 1.0)[0]
                )
                if self._secured in ready and (got := self._receive()) is not None:
                    if not got:
                        return
                    self._ours.sendall(got)
                    left, heard = left - len(got), time.monotonic()
                if self._ours in ready:
                    asked = self._ours.recv(_CHUNK)
                    if not asked:
                        return
                    self._secured.settimeout(SILENT_S)
                    self._secured.sendall(asked)
                    heard = time.monotonic()

    def _receive(self) -> bytes | None:
        """Return what has arrived, b"" at the end, None if it is no whole record yet."""
        self._secured.settimeout(0.0)
        try:
            return self._secured.recv(_CHUNK)
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return None
