"""The certificate of an operator on a connection to the console, judged at each request: a revocation is in force at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.serialization import Encoding

from sipmesh.pki.ca_rotation import CaGenerations
from sipmesh.server.process.http_peer import certificate_of
from sipmesh.transport.tls.path_check import path_errors
from sipmesh.trust.evidence import LinkKind
from sipmesh.trust.judgement.operator import judge_operator
from sipmesh.trust.x509.certificate import MalformedCertificateError, read_certificate

if TYPE_CHECKING:
    from pathlib import Path

    from aiohttp import web
    from cryptography import x509

    from sipmesh.server.certificates.own_certificates import OwnCertificates
    from sipmesh.topology.view import ServerView
    from sipmesh.trust.judgement.document_signer import SignerVerdict


class OperatorCertificates:
    """Judges the certificates of connections.

    *view* returns the topology in force, *issuers* the certificates of our issuing CAs, and *clock* the wall clock.
    """

    def __init__(
        self,
        view: Callable[[], ServerView],
        issuers: Callable[[], Sequence[x509.Certificate]],
        clock: Callable[[], datetime],
    ) -> None:
        self._view, self._issuers, self._clock = view, issuers, clock

    def proved_by(self, request: web.Request) -> str:
        """Return the name of the operator whose certificate the connection has proved; "" if there is none, or it is refused."""
        presented = certificate_of(request)
        if presented is None:
            return ""
        return self.judge(presented).name

    def judge(self, leaf: bytes) -> SignerVerdict:
        """Judge the certificate *leaf*, in DER, with our own authority only."""
        view, at = self._view(), self._clock()
        issuers, authority = self._issuers(), view.loaded.authority
        chain = [leaf, *(issuer.public_bytes(Encoding.DER) for issuer in issuers)]
        try:
            errors = path_errors([read_certificate(leaf), *issuers], authority.anchors, at)
        except MalformedCertificateError:
            errors = ()  # the judge reads the certificate too, and says so
        grace = view.accept_policy(LinkKind.SERVER).grace
        return judge_operator(chain, authority, at=at, engine_errors=errors, here=view.name, grace=grace)


def issuing_of(folder: Path, certificates: OwnCertificates) -> Sequence[x509.Certificate]:
    """Return the certificates of our issuing CAs: those of the CA in *folder*, or that of our own certificate."""
    if CaGenerations.are_in(folder):
        return [ca.issuing for ca in CaGenerations(folder).alive]
    return certificates.presented.of(LinkKind.SERVER).chain[1:]
