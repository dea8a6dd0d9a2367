"""Answers tls-alpn-01 (RFC 8737): a TLS handshake with the names of an order under way, and nothing behind it."""

from __future__ import annotations

import asyncio
import hashlib
import os
import socket
import ssl
import tempfile
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Final, Self

from acme import challenges
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.x509.oid import NameOID, ObjectIdentifier

from sipmesh.pki.files import certificates_pem, key_pem, new_key
from sipmesh.routing.authentication.backoff import network_of
from sipmesh.routing.budget import Budget
from sipmesh.server.public_certificates.acme_error import AcmeError
from sipmesh.sip.text import ascii_lower

if TYPE_CHECKING:
    import threading
    from types import TracebackType

    import josepy.jwk

PROTOCOL: Final = "acme-tls/1"
ACME_IDENTIFIER: Final = ObjectIdentifier("1.3.6.1.5.5.7.1.31")
HANDSHAKE_S: Final = 5.0
MOST_HANDSHAKES: Final = 32
MOST_OF_ADDRESS: Final = 8
"""Handshakes under way, and those of one address: with one more, the oldest one of the address with the most ends."""

RECORD: Final = 16_384
AGAIN_S: Final = 0.5
_OCTETS_32: Final = b"\x04\x20"
"""The begin of an OCTET STRING of 32 octets in DER."""


@challenges.ChallengeResponse.register
class TlsAlpn01Response(challenges.KeyAuthorizationChallengeResponse):
    """The response to tls-alpn-01; the library has none."""

    typ = "tls-alpn-01"


@challenges.Challenge.register
class TlsAlpn01(challenges.KeyAuthorizationChallenge):
    """The challenge tls-alpn-01 (RFC 8737)."""

    response_cls = TlsAlpn01Response
    typ = response_cls.typ

    def validation(self, account_key: josepy.jwk.JWK, **_given: object) -> bytes:
        """Return the digest in the certificate that answers."""
        return hashlib.sha256(self.key_authorization(account_key).encode()).digest()


class AlpnChallenges:
    """Listens at *host* and *port* while it is open; a handshake for another name is refused."""

    kind = "tls-alpn-01"

    def __init__(self, host: str, port: int) -> None:
        self._host, self._port = host, port
        self._contexts: dict[str, ssl.SSLContext] = {}
        self._handshakes = Budget[asyncio.Task[None]](MOST_OF_ADDRESS, MOST_HANDSHAKES)
        self._refusing = _context()
        self._refusing.sni_callback = self._choose

    async def __aenter__(self) -> Self:
        """Listen."""
        family = socket.AF_INET6 if ":" in self._host else socket.AF_INET
        try:
            self._socket = socket.create_server((self._host, self._port), family=family)
        except OSError as wrong:
            remedy = f"free port {self._port} of {self._host}, or set `acme.port` to one to which port 443 is forwarded"
            raise AcmeError(f"{self._host} port {self._port}: {wrong.strerror or wrong}", remedy) from None
        self._socket.setblocking(False)  # noqa: FBT003 - the method has no keyword
        self._accepting = asyncio.get_running_loop().create_task(self._accept())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop listening."""
        tasks = [self._accepting, *self._handshakes.all()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._socket.close()

    async def _accept(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                connected, remote = await loop.sock_accept(self._socket)
            except OSError:  # the peer is gone already, or there is no free descriptor
                await asyncio.sleep(AGAIN_S)
                continue
            address, task = network_of(remote[0]), loop.create_task(self._shake_hands(connected))
            task.add_done_callback(partial(self._handshakes.remove, address))
            displaced = self._handshakes.add(address, task)
            if displaced is not None:
                displaced.cancel()
            await asyncio.sleep(0)  # it begins, and so closes its socket, before it may have to make room

    async def _shake_hands(self, connected: socket.socket) -> None:
        """Answer one connection, and end it: there is nothing behind the handshake."""
        loop, incoming, outgoing = asyncio.get_running_loop(), ssl.MemoryBIO(), ssl.MemoryBIO()
        tls, ended = self._refusing.wrap_bio(incoming, outgoing, server_side=True), False
        with connected, suppress(OSError, TimeoutError):
            async with asyncio.timeout(HANDSHAKE_S):
                while not ended:
                    try:
                        tls.do_handshake()
                        ended = True
                    except ssl.SSLWantReadError:
                        pass
                    except ssl.SSLError:  # the alert is in *outgoing*
                        ended = True
                    await loop.sock_sendall(connected, outgoing.read())
                    octets = b"" if ended else await loop.sock_recv(connected, RECORD)
                    incoming.write(octets)
                    ended = ended or not octets

    def _choose(self, tls: ssl.SSLObject, name: str | None, _context: ssl.SSLContext) -> int | None:
        """Present the certificate for the *name* in the ClientHello; without one, the handshake ends."""
        found = self._contexts.get(ascii_lower(name or ""))
        if found is None:
            return ssl.AlertDescription.ALERT_DESCRIPTION_UNRECOGNIZED_NAME
        tls.context = found
        return None

    def publish(self, name: str, challenge: challenges.KeyAuthorizationChallenge, key: josepy.jwk.JWK) -> None:
        """Answer for *name* with a certificate that holds the digest of *challenge*."""
        self._contexts[name] = _presenting(name, challenge.validation(key))

    def settle(self, stopped: threading.Event) -> None:
        """Do nothing: the CA asks this server itself."""

    def retract(self) -> None:
        """Forget all answers."""
        self._contexts = {}


def _context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols([PROTOCOL])
    return context


def _presenting(name: str, digest: bytes) -> ssl.SSLContext:
    """Return a context with a self-signed certificate for *name* and the *digest* (RFC 8737 3), which lives in memory only."""
    key, at, subject = new_key(), datetime.now(UTC), x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "ACME")])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(at - timedelta(hours=1))
        .not_valid_after(at + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.UnrecognizedExtension(ACME_IDENTIFIER, _OCTETS_32 + digest), critical=True)
        .sign(key, hashes.SHA256())
    )
    context = _context()
    with tempfile.NamedTemporaryFile(prefix="sipmesh-", dir=_memory()) as file:  # mode 0600; Python reads files only
        file.write(certificates_pem([certificate]) + key_pem(key))
        file.flush()
        context.load_cert_chain(file.name)
    return context


def _memory() -> str | None:
    shared = "/dev/shm"  # noqa: S108 - a file with mode 0600 and a random name, for a millisecond
    return shared if os.access(shared, os.W_OK) else None
