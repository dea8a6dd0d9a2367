"""The three challenges: each asks whether who requests the certificate also controls the server that the topology has.

http-01 (RFC 8555 8.3), dns-01 (8.4) and tls-alpn-01 (RFC 8737). No redirection is followed, and no other host is contacted.
"""

from __future__ import annotations

import asyncio
import ssl
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from cryptography import x509
from cryptography.x509.oid import ObjectIdentifier

from sipmesh.routing.proxy.locate import DnsQuestion, RecordKind
from sipmesh.server.enrolment.acme.given_addresses import addresses_of
from sipmesh.server.enrolment.problem import AcmeProblemError
from sipmesh.server.process.network_error import told_network_error
from sipmesh.server.refresh.http_fetch import FetchError, FetchLimits, HttpFetcher
from sipmesh.sip import base64url
from sipmesh.topology.document.parts.enrolment import HTTP_PORT
from sipmesh.transport.resolver import DnsResolver, UnansweredError
from sipmesh.trust.x509.certificate import UNREADABLE

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from sipmesh.server.enrolment.acme.given_addresses import GivenAddresses
    from sipmesh.server.enrolment.enrollable import Enrollable
    from sipmesh.topology.document.parts.enrolment import Enrolment
    from sipmesh.topology.view import ServerView

WHOLE_S: Final = 10.0
LIMITS: Final = FetchLimits(connect_s=4.0, whole_s=WHOLE_S, redirects=0, connections=1)
LARGEST_ANSWER: Final = 512
ALPN: Final = "acme-tls/1"
IDENTIFIER: Final = ObjectIdentifier("1.3.6.1.5.5.7.1.31")  # id-pe-acmeIdentifier (RFC 8737 3)
_OCTET_STRING_32: Final = b"\x04\x20"
HTTP, DNS, TLS = "http-01", "dns-01", "tls-alpn-01"
KINDS: Final = (HTTP, DNS, TLS)


@dataclass(frozen=True, slots=True)
class Challenge:
    """A challenge with a *token* for *entry*, which *key_authorization* answers; *ports* are those of the topology."""

    entry: Enrollable
    token: str
    key_authorization: str
    ports: Enrolment
    view: ServerView

    @property
    def digest(self) -> bytes:
        """The SHA-256 of the key authorization."""
        return sha256(self.key_authorization.encode()).digest()

    async def where(self) -> GivenAddresses:
        """Return the addresses of the server; raises `AcmeProblemError`."""
        return await addresses_of(self.entry, self.resolver, self.view.reachable.ours)

    @property
    def resolver(self) -> DnsResolver:
        """A resolver that has asked nothing before: a record may have been added a moment ago."""
        return DnsResolver(*self.view.dns_servers, lifetime_s=WHOLE_S / 2)


async def validate(kind: str, challenge: Challenge) -> None:
    """Validate a challenge of *kind*, within `WHOLE_S`; raises `AcmeProblemError` with what was found."""
    try:
        async with asyncio.timeout(WHOLE_S):
            await _VALIDATIONS[kind](challenge)
    except TimeoutError:
        raise AcmeProblemError("connection", f"no answer to {kind} within {WHOLE_S:g} s", 400) from None


async def _http(challenge: Challenge) -> None:
    """Fetch the key authorization (RFC 8555 8.3)."""
    given, port = await challenge.where(), challenge.ports.http_port
    host = challenge.entry.name if port == HTTP_PORT else f"{challenge.entry.name}:{port}"
    url = f"http://{host}/.well-known/acme-challenge/{challenge.token}"
    fetcher = HttpFetcher(given, LIMITS, given.reachable)
    try:
        answer = (await fetcher.get(url, LARGEST_ANSWER)).body or b""
    except FetchError as wrong:
        raise AcmeProblemError("connection", f"{url} {wrong}; a redirection is not followed", 400) from None
    finally:
        await fetcher.close()
    if answer.rstrip(b" \t\r\n") != challenge.key_authorization.encode():
        raise AcmeProblemError("incorrectResponse", f"{url} gives another key authorization", 400)


async def _dns(challenge: Challenge) -> None:
    """Look for the digest in the TXT records (RFC 8555 8.4)."""
    name = f"_acme-challenge.{challenge.entry.name}"
    try:
        records = await challenge.resolver.ask(DnsQuestion(name, RecordKind.TXT))
    except UnansweredError as wrong:
        raise AcmeProblemError("dns", f"no answer: {wrong}", 400) from None
    wanted = base64url.encode(challenge.digest)
    if f'"{wanted}"' not in map(str, records):
        raise AcmeProblemError("incorrectResponse", f"{name} has no TXT record with {wanted}", 400)


async def _tls(challenge: Challenge) -> None:
    """Look for the digest in the certificate that the server shows for this protocol (RFC 8737 3)."""
    given, port = await challenge.where(), challenge.ports.tls_alpn_port
    shown, chosen = await _shown(given.addresses[0], port, challenge.entry.name)
    where = f"{challenge.entry.name} port {port}"
    if chosen != ALPN:
        raise AcmeProblemError("tls", f"{where} does not speak {ALPN}", 400)
    try:
        certificate = x509.load_der_x509_certificate(shown)
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        mark = certificate.extensions.get_extension_for_oid(IDENTIFIER)
    except (x509.ExtensionNotFound, *UNREADABLE):
        raise AcmeProblemError("incorrectResponse", f"{where} shows a certificate without the mark", 400) from None
    found = mark.value.value if isinstance(mark.value, x509.UnrecognizedExtension) and mark.critical else b""
    if list(names) != [x509.DNSName(challenge.entry.name)] or found != _OCTET_STRING_32 + challenge.digest:
        raise AcmeProblemError("incorrectResponse", f"{where} shows a certificate for another challenge", 400)


async def _shown(address: str, port: int, name: str) -> tuple[bytes, str | None]:
    """Shake hands, and return the certificate and the protocol; raises `AcmeProblemError`."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE  # the certificate is its own (RFC 8737 3)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols([ALPN])
    try:
        _, writer = await asyncio.open_connection(address, port, ssl=context, server_hostname=name, limit=1)
    except (OSError, ssl.SSLError) as wrong:
        raise AcmeProblemError("connection", f"{address} port {port} {told_network_error(wrong)}", 400) from None
    tls: ssl.SSLObject = writer.get_extra_info("ssl_object")
    shown, chosen = tls.getpeercert(binary_form=True) or b"", tls.selected_alpn_protocol()
    writer.transport.abort()
    return shown, chosen


_VALIDATIONS: Final[Mapping[str, Callable[[Challenge], Awaitable[None]]]] = {HTTP: _http, DNS: _dns, TLS: _tls}
