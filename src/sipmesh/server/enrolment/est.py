"""Enrolment over Secure Transport (EST, RFC 7030 and RFC 8951): CA certificates, enrolment, re-enrolment, CSR attributes.

A first enrolment is proved by a one-time token (HTTP Basic: the name in the topology, and the token), or by the ticket of a
computer of the domain (Negotiate, RFC 4559), which the topology names as a server. A re-enrolment is proved by the certificate of
the TLS connection, which the judge accepts as on a link.
"""

from __future__ import annotations

import base64
import binascii
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from aiohttp import BasicAuth, web
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.hazmat.primitives.serialization.pkcs7 import serialize_certificates
from multidict import CIMultiDict

from sipmesh.errors import OperatorError
from sipmesh.pki.ca_rotation import CaGenerations
from sipmesh.pki.enrolment_request import UnfitRequestError, requested_key
from sipmesh.pki.issuance.profiles import issued_at
from sipmesh.printable import printable
from sipmesh.server.control_socket import STATE
from sipmesh.server.enrolment.device_enrolment import DeviceEnrolment, device_proved_by, is_login_of_device
from sipmesh.server.enrolment.enrollable import NotEnrollableError, enrollable
from sipmesh.server.enrolment.enrolment_issuer import EnrolmentIssuer, Proof, TooManyCertificatesError
from sipmesh.server.enrolment.paths import EST
from sipmesh.server.enrolment.server_certificate import CertificateRefusedError, proved_by
from sipmesh.server.kerberos.acceptor import LONGEST_NAME, KerberosError, KerberosService
from sipmesh.server.kerberos.negotiation import NEGOTIATE, REPLAYS, token_in
from sipmesh.server.management.revoking import last_revocation
from sipmesh.server.process.http_peer import address_of, certificate_of
from sipmesh.server.process.request_rate import WINDOW_S, RequestRate
from sipmesh.sip.text import ascii_lower
from sipmesh.storage.enrolment.enrolment_tokens import AGAIN, TokenRefusedError
from sipmesh.topology.document.parts.enrolment import EnrolmentProtocol
from sipmesh.trust.x509.certificate import read_certificate
from sipmesh.trust.x509.device_identity import is_for_devices

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime

    from cryptography import x509

    from sipmesh.server.enrolment.enrolment_host import EnrolmentHost
    from sipmesh.topology.document.parts.enrolment import MachineRealm
    from sipmesh.topology.view import ServerView

LARGEST: Final = 16 << 10
"""Octets of a request: a PKCS #10 request in base64."""

FAILURES_A_MINUTE: Final = 10
"""Tokens and certificates of one address that fail."""

CERTIFICATES: Final = "application/pkcs7-mime; smime-type=certs-only"
CSR_ATTRIBUTES: Final = bytes.fromhex("3021301506072a8648ce3d0201310a06082a8648ce3d03010706082a8648ce3d040302")
"""CsrAttrs (RFC 7030 4.5.2): a key on P-256 (id-ecPublicKey with secp256r1), and ecdsa-with-SHA256."""

CHALLENGE: Final = {"WWW-Authenticate": 'Basic realm="enrolment", charset="UTF-8"'}
AGAIN_S: Final = 5


class Est:
    """Answers EST on *host*."""

    def __init__(self, host: EnrolmentHost) -> None:
        self._host = host
        self._failures = RequestRate(FAILURES_A_MINUTE, host.steady)

    def routes(self) -> list[web.RouteDef]:
        """Return the paths of EST (RFC 7030 3.2.2)."""
        return [
            web.get(f"{EST}/cacerts", self._ca_certificates),
            web.get(f"{EST}/csrattrs", self._csr_attributes),
            web.post(f"{EST}/simpleenroll", self._enrol),
            web.post(f"{EST}/simplereenroll", self._re_enrol),
            web.route("*", EST + "{rest:(/.*)?}", _refuse),
        ]

    async def _ca_certificates(self, _request: web.Request) -> web.Response:
        """Answer with our roots and issuing CAs (RFC 7030 4.1.3)."""
        self._must_serve()
        found = await self._host.turns.work(_authorities, self._host)
        return _answer(serialize_certificates(found, Encoding.DER), CERTIFICATES)

    async def _csr_attributes(self, _request: web.Request) -> web.Response:
        self._must_serve()
        return _answer(CSR_ATTRIBUTES, "application/csrattrs")

    async def _enrol(self, request: web.Request) -> web.Response:
        """Enrol by a one-time token (RFC 7030 4.2.1), or by a ticket."""
        self._must_serve()
        authorization = request.headers.get("Authorization", "")
        if self._realm is not None and authorization.startswith(NEGOTIATE):
            leaf = self._host.leaf_of(urlsplit(f"//{request.host}").hostname or "")
            return await self._certified(request, lambda der: _by_ticket(self._host, authorization, leaf, der))
        name, password = self._basic(request)
        return await self._certified(request, lambda der: _by_token(self._host, name, password, der))

    async def _re_enrol(self, request: web.Request) -> web.Response:
        """Enrol again by the certificate of the connection (RFC 7030 4.2.2)."""
        self._must_serve()
        leaf = certificate_of(request)
        if leaf is None:
            raise web.HTTPForbidden(text="show the certificate that is to be renewed, in the TLS handshake\n")
        view = self._host.view()
        return await self._certified(request, lambda der: _by_certificate(self._host, view, leaf, der))

    async def _certified(self, request: web.Request, issue: Callable[[bytes], x509.Certificate]) -> web.Response:
        """Issue for the PKCS #10 request in the body, and answer with the certificate alone (RFC 7030 4.2.3)."""
        if not self._host.leads():
            text = "another management server leads: send the request there\n"
            raise web.HTTPServiceUnavailable(text=text, headers={"Retry-After": str(AGAIN_S)})
        der = await _pkcs10(request)
        with self._refusals(address_of(request)):
            certificate = await self._host.turns.work(issue, der)
        self._host.look()
        return _answer(serialize_certificates([certificate], Encoding.DER), CERTIFICATES)

    def _must_serve(self) -> None:
        """Raise HTTP 404 if the topology has no EST."""
        if not self._host.serves(EnrolmentProtocol.EST):
            raise web.HTTPNotFound(text="the topology has no `console.enrolment` with est\n")

    @property
    def _realm(self) -> MachineRealm | None:
        enrolment = self._host.enrolment
        return enrolment.kerberos if enrolment is not None else None

    def _challenge(self) -> CIMultiDict[str]:
        """Ask for a token, and for a ticket if the topology has a realm."""
        asked = CIMultiDict(CHALLENGE)
        if self._realm is not None:
            asked.add("WWW-Authenticate", NEGOTIATE)
        return asked

    def _basic(self, request: web.Request) -> tuple[str, str]:
        """Return the name and the password of a request; raises HTTP 401."""
        try:
            found = BasicAuth.decode(request.headers.get("Authorization", ""))
        except ValueError:
            text = "log in with the name of the server and a one-time token: sipmesh ca enrol NAME\n"
            raise web.HTTPUnauthorized(headers=self._challenge(), text=text) from None
        name = found.login if is_login_of_device(found.login) else ascii_lower(found.login)
        return name, found.password

    @contextmanager
    def _refusals(self, address: str) -> Iterator[None]:
        """Answer each refusal with its reason; what proves nothing counts against the *address*."""
        try:
            yield
        except (TokenRefusedError, CertificateRefusedError, KerberosError) as wrong:
            self._refused("proof", address, wrong.message)
            if not self._failures.admits(address):
                raise web.HTTPTooManyRequests(headers={"Retry-After": str(int(WINDOW_S))}) from None
            is_token = isinstance(wrong, TokenRefusedError)
            refusal = web.HTTPUnauthorized(headers=self._challenge()) if is_token else web.HTTPForbidden()
            refusal.text = f"{wrong.message}\n"
            raise refusal from None
        except UnfitRequestError as wrong:
            self._refused("request", address, wrong.why)
            raise web.HTTPBadRequest(text=f"{wrong.why}\n") from None
        except TooManyCertificatesError as wrong:
            self._refused("rate", address, wrong.message)
            raise web.HTTPTooManyRequests(text=f"{wrong.message}\n", headers={"Retry-After": "3600"}) from None
        except NotEnrollableError as wrong:
            self._refused("name", address, wrong.message)
            raise web.HTTPForbidden(text=f"{wrong.message}\n") from None
        except OperatorError as wrong:
            self._refused("fault", address, str(wrong))
            text = "management cannot issue now; its log says why\n"
            raise web.HTTPServiceUnavailable(text=text, headers={"Retry-After": str(AGAIN_S)}) from None

    def _refused(self, kind: str, address: str, why: str) -> None:
        self._host.refused(EnrolmentProtocol.EST, kind, address, why)


async def _refuse(_request: web.Request) -> web.StreamResponse:
    """Refuse another path or method."""
    raise web.HTTPNotFound(text="management serves cacerts, csrattrs, simpleenroll and simplereenroll\n")


def _by_token(host: EnrolmentHost, name: str, password: str, der: bytes) -> x509.Certificate:
    """Issue by a token. The proof is checked first: a stranger learns nothing of the names in the topology."""
    at, tokens = host.now(), host.management_db.enrolment_tokens
    token = tokens.of_secret(name, password.encode(), at.timestamp())
    proof = Proof(
        EnrolmentProtocol.EST,
        f"one-time token {token.id} of {token.made_by}",
        lambda: tokens.spend(token, at.timestamp()),
    )
    return _issued(host, name, der, proof, at)


def _by_ticket(host: EnrolmentHost, authorization: str, leaf: x509.Certificate, der: bytes) -> x509.Certificate:
    """Issue by the ticket of a computer. It must be bound to this TLS connection: who passed it on would add a key of its own."""
    at, view, enrolment = host.now(), host.view(), host.enrolment
    realm = enrolment.kerberos if enrolment is not None else None
    if realm is None:
        raise KerberosError("the topology has no `console.enrolment.kerberos` any more")
    folder = view.loaded.folder
    service = KerberosService(f"HTTP/{view.name}", realm.realm, folder / realm.keytab, folder / STATE / REPLAYS)
    principal = service.accept(token_in(authorization), leaf, must_be_bound=True).principal
    name = realm.server_of(principal)
    if name is None:
        raise KerberosError(f"{printable(principal, LONGEST_NAME)} is no machine in `console.enrolment.kerberos`")
    proof = Proof(EnrolmentProtocol.EST, f"ticket of {principal}", lambda: _must_not_have_ended(host, name))
    return _issued(host, name, der, proof, at)


def _must_not_have_ended(host: EnrolmentHost, name: str) -> None:
    """Raise `CertificateRefusedError` if a certificate of *name* was revoked, and no token has brought it back since."""
    last = last_revocation(CaGenerations(host.ca), name, "", host.management_db.audit)
    if last is not None and not host.management_db.enrolled_certificates.since(name, last.timestamp()):
        raise CertificateRefusedError(f"a certificate of {name} was revoked; {AGAIN.format(server=name)}")


def _by_certificate(host: EnrolmentHost, view: ServerView, leaf: bytes, der: bytes) -> x509.Certificate:
    """Issue by a certificate of ours that the judge accepts, and that no CRL on this host lists."""
    at, issuers = host.now(), host.issuers()
    is_device = is_for_devices(read_certificate(leaf))
    name = device_proved_by(leaf, view, issuers, at) if is_device else proved_by(leaf, view, issuers, at).name
    proof = Proof(EnrolmentProtocol.EST, "its valid certificate", lambda: _must_be_valid(host, leaf, name))
    return _issued(host, name, der, proof, at)


def _must_be_valid(host: EnrolmentHost, leaf: bytes, name: str) -> None:
    """Raise `CertificateRefusedError` for a certificate that was revoked, perhaps a moment ago, or that is older than another's.

    A revocation ends the renewals of its name: the next certificate needs a new token.
    """
    generations, certificate = CaGenerations(host.ca), read_certificate(leaf)
    is_device = is_login_of_device(name)
    if not (generations.has_issued_device(certificate) if is_device else generations.has_issued(certificate)):
        raise CertificateRefusedError(f"the certificate of {name} was revoked, or is not of our CA")
    user, _, device = name.rpartition("/")
    last = last_revocation(generations, user or name, device if user else "", host.management_db.audit)
    if last is not None and issued_at(certificate) < last.replace(microsecond=0):
        why = f"a certificate of {name} was revoked after this one was issued; {AGAIN.format(server=name)}"
        raise CertificateRefusedError(why)


def _issued(host: EnrolmentHost, name: str, der: bytes, proof: Proof, at: datetime) -> x509.Certificate:
    """Issue for a server of the topology, or for a device of a user."""
    generations, view = CaGenerations(host.ca), host.view()
    if is_login_of_device(name):
        made = DeviceEnrolment(generations, view.loaded, host.management_db).issue(name, der, proof, at)
    else:
        entry = enrollable(view, name)
        key = requested_key(der, entry.names)
        made = EnrolmentIssuer(generations, host.management_db).issue(entry, key, proof, at).certificate
    host.issued(EnrolmentProtocol.EST, name, made)
    return made


def _authorities(host: EnrolmentHost) -> list[x509.Certificate]:
    anchors, current = host.view().loaded.authority.anchors, CaGenerations(host.ca)
    found = [*anchors, *(ca.issuing for ca in current.alive), *current.current.presented]
    return list(dict.fromkeys(found))


async def _pkcs10(request: web.Request) -> bytes:
    """Return the request in the body, in DER; raises HTTP errors. White space may be anywhere (RFC 8951 3.1)."""
    if request.content_type != "application/pkcs10":
        raise web.HTTPUnsupportedMediaType(text="send application/pkcs10 in base64\n")
    if (request.content_length or 0) > LARGEST or len(body := await request.read()) > LARGEST:
        raise web.HTTPRequestEntityTooLarge(LARGEST, request.content_length or LARGEST + 1)
    try:
        return base64.b64decode(body.translate(None, b" \t\r\n"), validate=True)
    except binascii.Error:
        raise web.HTTPBadRequest(text="the body is not base64\n") from None


def _answer(der: bytes, kind: str) -> web.Response:
    """Answer with *der* in base64 (RFC 8951 3.2): the header of older clients says so too."""
    headers = {"Content-Type": kind, "Content-Transfer-Encoding": "base64"}
    return web.Response(body=base64.encodebytes(der), headers=headers)
