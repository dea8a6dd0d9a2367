"""Whom we ask by HTTPS: one rule for each fetch, checked after the handshake and before the request is sent.

OpenSSL checks the chain, under the authorities of this machine or under the enterprise CA alone, and the name of the URL. Then
we judge: a certificate of our own CA as each other one of it, with our CRLs, with any anchors of OpenSSL; and no certificate
counts that names a server of the topology. Of a public CA we have no CRL: its revocations are not seen.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Final

import aiohttp
from cryptography.hazmat.primitives.serialization import Encoding

from sipmesh.transport.tls.path_check import path_errors
from sipmesh.trust.judgement.https_server import judge_https_server, servers_named
from sipmesh.trust.x509.certificate import MalformedCertificateError, issued_by, read_certificate, weakness

if TYPE_CHECKING:
    from cryptography import x509

    from sipmesh.topology.document.load import Loaded

_UNUSED: Final = bytes(32)
"""The fingerprint of `aiohttp.Fingerprint`, which is compared with nothing here."""


class HttpsServerCheck(aiohttp.Fingerprint):
    """Judges HTTPS servers for *here*; give it to an `aiohttp.TCPConnector`.

    *loaded* returns the topology in force, *issuers* the certificates of our issuing CAs, and *clock* the wall clock.
    """

    def __init__(
        self,
        here: str,
        loaded: Callable[[], Loaded],
        issuers: Callable[[], Sequence[x509.Certificate]],
        clock: Callable[[], datetime],
    ) -> None:
        super().__init__(_UNUSED)
        self._here, self._loaded, self._issuers, self._clock = here, loaded, issuers, clock

    def check(self, transport: asyncio.Transport) -> None:
        """Close *transport* and raise `aiohttp.ClientError` if its other end is refused; called before a request is sent."""
        tls: ssl.SSLObject | None = transport.get_extra_info("ssl_object")
        if tls is None:
            return
        why = self.refusal(tls.getpeercert(binary_form=True) or b"", tls.server_hostname or "")
        if why:
            transport.close()
            raise aiohttp.ClientConnectionError(f"its certificate is refused: {why}")

    def refusal(self, leaf: bytes, host: str) -> str:
        """Return why the certificate *leaf*, in DER, is not that of *host*; "" if OpenSSL's acceptance of it counts."""
        try:
            certificate = read_certificate(leaf)
        except MalformedCertificateError as wrong:
            return str(wrong)
        issuers, loaded = self._issuers(), self._loaded()
        servers = loaded.topology.server_names
        if not any(issued_by(certificate, issuer) for issuer in issuers):
            named = servers_named(certificate, servers)
            return f"it names the server {named[0]} of the topology" if named else weakness(certificate) or ""
        at, authority = self._clock(), loaded.authority
        chain = [leaf, *(issuer.public_bytes(Encoding.DER) for issuer in issuers)]
        errors = path_errors([certificate, *issuers], authority.anchors, at)
        verdict = judge_https_server(chain, authority, host, servers, at=at, engine_errors=errors, here=self._here)
        return "" if verdict.is_trusted else f"{verdict.code}: {'; '.join(verdict.reasons)}"


def https_context(anchors: Sequence[x509.Certificate] = ()) -> ssl.SSLContext:
    """Return a context that trusts *anchors* alone; without them, the authorities of this machine."""
    pem = "".join(anchor.public_bytes(Encoding.PEM).decode() for anchor in anchors)
    context = ssl.create_default_context(cadata=pem or None)
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    return context
