"""Certificates that renew themselves: a server asks management for its next one while the present one still proves who it is.

At two thirds of its certificate's life a server makes a new key, and puts a request for it into what it says of itself. It signs
the request with the key of the present certificate, so that whoever brings it (a front end, for an edge) can ask for nobody
else. What comes back is signed by management, and put in place with its key: from there on it takes the way of every new
certificate, which is tried before it is shown.
"""

from __future__ import annotations

import json
from base64 import b64decode
from contextlib import suppress
from datetime import datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Final

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from sipmesh.distribution.items import Item, ItemKind
from sipmesh.errors import OperatorError, RemoteError
from sipmesh.pki import files
from sipmesh.pki.ca_rotation import CaGenerations
from sipmesh.pki.csr import read_request, request_for
from sipmesh.pki.issuance.profiles import CertificateKind
from sipmesh.topology.document.files import UnusableFileError
from sipmesh.topology.document.trust_anchors import read_certificates
from sipmesh.topology.versions.jose import MalformedDocumentError, open_signed, sign
from sipmesh.topology.view import certificate_names
from sipmesh.trust.x509.certificate import UNREADABLE, issued_by

if TYPE_CHECKING:
    from collections.abc import Callable

    from cryptography.hazmat.primitives.asymmetric import ec

    from sipmesh.pki.authority import EnterpriseCa
    from sipmesh.pki.ledger import Record
    from sipmesh.topology.document.load import Loaded
    from sipmesh.topology.view import ServerView

REQUEST = "sipmesh-request"
CERTIFICATE = "sipmesh-certificate"
"""The types of the two signed documents."""


def is_due(certificate: x509.Certificate, at: datetime) -> bool:
    """Whether two thirds of a certificate's life are over."""
    begin, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    return at >= begin + (end - begin) * 2 / 3


class Applicant:
    """The server that asks; its next key waits in *state* until the certificate for it has come."""

    def __init__(self, server: str, state: Path) -> None:
        self._server, self._key_file = server, state / f"{server}.next-key"
        self._made: tuple[x509.Certificate, str] | None = None

    def __repr__(self) -> str:
        return f"<Applicant {self._server}>"

    def request(self, view: ServerView, at: datetime, issuing: x509.Certificate | None = None) -> str | None:
        """The request for the next certificate, signed with the present key; None where there is no need, or no way.

        There is need at two thirds of its life, and where another CA than its own is the one that is *issuing* now. A
        certificate that another authority than ours has issued is its owner's to renew.
        """
        try:
            chain = read_certificates(view.certificate)
            old = issuing is not None and not issued_by(chain[0], issuing)
            if not (old or is_due(chain[0], at)) or not _is_ours(chain, view):
                return None
            if self._made is None or self._made[0] != chain[0]:
                request = request_for(self._server, self._next_key())
                self._made = chain[0], sign(request, REQUEST, chain, files.read_key(view.key)).decode()
            return self._made[1]
        except (UnusableFileError, OperatorError):  # `ca inventory` and the log say what is wrong with them
            return None

    def _next_key(self) -> ec.EllipticCurvePrivateKey:
        if self._key_file.exists():
            return files.read_key(self._key_file)
        key = files.new_key()
        files.write(self._key_file, files.key_pem(key), files.SECRET)
        return key

    def show(self, issuing: x509.Certificate, view: ServerView) -> bool:
        """Show this certificate of the issuing CA from now on, if it is that of ours and leads to an anchor in force."""
        try:
            chain = read_certificates(view.certificate)
        except UnusableFileError:
            return False
        leads = any(issued_by(issuing, anchor) for anchor in view.loaded.authority.anchors)
        if chain[1:] == [issuing] or not issued_by(chain[0], issuing) or not leads:
            return False
        files.write(view.certificate, b"".join(one.public_bytes(Encoding.PEM) for one in (chain[0], issuing)))
        return True

    def accept_certificate(self, payload: bytes, view: ServerView) -> bool:
        """Put a certificate in place with its key; False if it is for no key that waits here, such as one that came before.

        Raises `RemoteError` for what is not for this server.
        """
        server, chain = _read(payload)
        if server != self._server:
            raise RemoteError(f"a certificate of {server}", rule="rule R6", status=488)
        if not self._key_file.exists():
            return False
        key = files.read_key(self._key_file)
        if chain[0].public_key() != key.public_key():
            return False
        pem = b"".join(one.public_bytes(Encoding.PEM) for one in chain)
        files.commit(
            [
                files.prepare(view.key, files.key_pem(key), files.SECRET),
                files.prepare(view.certificate, pem, files.PUBLIC),
            ]
        )
        self._key_file.unlink()
        self._made = None
        return True


def read_issuing(text: str) -> x509.Certificate | None:
    """Read what a state says of the CA that issues now; None for nothing that can be read."""
    try:
        return x509.load_der_x509_certificate(b64decode(text, validate=True)) if text else None
    except (ValueError, *UNREADABLE):
        return None


def _is_ours(chain: list[x509.Certificate], view: ServerView) -> bool:
    anchors = {anchor.subject for anchor in view.loaded.authority.anchors}
    return chain[-1].issuer in anchors


def _read(payload: bytes) -> tuple[str, list[x509.Certificate]]:
    try:
        document = json.loads(payload)
        return str(document["server"]), x509.load_pem_x509_certificates(document["chain"].encode())
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, *UNREADABLE):
        raise RemoteError("a certificate that cannot be read", rule="rule R6", status=488) from None


MOST_A_DAY: Final = 4
"""Certificates that one server is granted within a day: it needs one in twenty days, and one more for a new issuing CA."""

A_DAY: Final = timedelta(days=1)


class Grantor:
    """Management's side: it grants what the topology gives a server, to the holder of its present key and to nobody else.

    *signed* makes a document of management's, *granted* hears of each certificate.
    """

    def __init__(
        self,
        folder: Path,
        signed: Callable[[bytes, str], bytes],
        granted: Callable[[str, x509.Certificate], None],
    ) -> None:
        self._folder, self._signed, self._granted = folder, signed, granted
        self._given: dict[str, tuple[str, Item]] = {}
        self._payloads: dict[str, bytes] = {}
        self._granted_at: dict[str, list[datetime]] = {}

    def __repr__(self) -> str:
        return f"<Grantor in {self._folder}: {', '.join(self._given)}>"

    def item(self, server: str) -> Item | None:
        """What was granted to *server* last."""
        held = self._given.get(server)
        return held[1] if held is not None else None

    def asked(self, server: str, request: str, loaded: Loaded, at: datetime) -> bool:
        """Grant what *server* asks for, once; True if there is something new to give.

        Raises `OperatorError` or `RemoteError` where nothing is granted, and says why.
        """
        key = self._checked(server, request, at)
        digest = sha256(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).hexdigest()
        if self._given.get(server, ("",))[0] == digest:
            return False
        pool = loaded.topology.pool_of(server)
        if pool is None:
            raise RemoteError(f"{server} is not in the topology", rule="rule R5", status=403)
        self._count(server, at)
        made = CaGenerations(self._folder).current.certify(
            certificate_names(loaded.topology, server), pool.role, key, at
        )
        payload = json.dumps({"server": server, "chain": made.chain.decode()}).encode()
        self._given[server] = (digest, self._item(server, payload))
        self._payloads[server] = payload
        self._granted(server, made.certificate)
        return True

    def sign_anew(self) -> None:
        """Sign what is still to be given once more: our signer shows another chain now, and the old one ends with its root.

        Raises `OperatorError` where we cannot sign.
        """
        for server, payload in self._payloads.items():
            self._given[server] = (self._given[server][0], self._item(server, payload))

    def _item(self, server: str, payload: bytes) -> Item:
        return Item(ItemKind.CERTIFICATE, self._signed(payload, CERTIFICATE), server)

    def _count(self, server: str, at: datetime) -> None:
        """Refuse what is too much: whoever holds the key of a server could fill ledger and audit log with it."""
        lately = [one for one in self._granted_at.get(server, []) if at - one < A_DAY]
        if len(lately) >= MOST_A_DAY:
            raise RemoteError(
                f"{server} has received {len(lately)} certificates in a day, which is the limit",
                rule="rule R6",
                status=403,
            )
        self._granted_at[server] = [*lately, at]

    def _checked(self, server: str, request: str, at: datetime) -> ec.EllipticCurvePublicKey:
        """The key that a request is for, once it is signed with the key of a certificate that we know to be the server's."""
        try:
            signed = open_signed(request.encode(), REQUEST)
        except MalformedDocumentError as wrong:
            raise RemoteError(f"not a request of {server}: {wrong}", rule="rule R6", status=403) from None
        leaf = signed.chain[0]
        record = self._record_of(leaf)
        if record is None or record.names[0] != server or record.kind != CertificateKind.SERVER:
            raise RemoteError(f"a request for {server} is not signed with its key", rule="rule R6", status=403)
        if record.revoked_at is not None or not record.not_before <= at <= record.not_after:
            raise RemoteError(f"the certificate of {server} has expired or was revoked", rule="rule R6", status=403)
        if not is_due(leaf, at) and issued_by(leaf, CaGenerations(self._folder).current.issuing):
            raise RemoteError(f"the certificate of {server} is not due for renewal", rule="rule R6", status=403)
        name, key = read_request(signed.payload, self._folder)
        if name != server:
            raise RemoteError(f"{server} requests a certificate for {name}", rule="rule R6", status=403)
        return key

    def _record_of(self, leaf: x509.Certificate) -> Record | None:
        """What our own ledger has of a certificate, to the octet: what it does not have was not issued here."""
        records = CaGenerations(self._folder).records()
        found = next((one for one in records if one.serial == leaf.serial_number), None)
        der = leaf.public_bytes(Encoding.DER)
        return found if found is not None and found.der == der else None


def renew_own(view: ServerView, folder: Path, at: datetime) -> list[x509.Certificate]:
    """Renew what a management server shows and signs with, out of the CA in *folder*, where it is due or has ended.

    Called before it listens, and then now and then. Gives what was issued. Raises `OperatorError`.
    """
    if not CaGenerations.are_in(folder):
        return []
    ca = CaGenerations(folder).current
    made = []
    if _needs(view.certificate, ca, at):
        names = certificate_names(view.loaded.topology, view.name)
        made.append(ca.issue(names, view.role, at))
        made[-1].write(view.certificate, view.key)
    signer, signer_key = view.signer
    if _needs(signer, ca, at):
        made.append(ca.issue_signer(view.name, at))
        made[-1].write(signer, signer_key)
    return [one.certificate for one in made]


def show_own(view: ServerView, folder: Path) -> None:
    """Show the issuing CA's certificate that is to be shown now, in what a management server shows and signs with."""
    shown = CaGenerations(folder).current.shown
    for file in (view.certificate, view.signer[0]):
        with suppress(UnusableFileError):
            leaf, *above = read_certificates(file)
            if above != [shown] and issued_by(leaf, shown):
                files.write(file, b"".join(one.public_bytes(Encoding.PEM) for one in (leaf, shown)))


def signer_chain(view: ServerView) -> list[x509.Certificate]:
    """The chain by which a management server signs, empty where it cannot be read."""
    with suppress(UnusableFileError):
        return read_certificates(view.signer[0])
    return []


def _needs(file: Path, ca: EnterpriseCa, at: datetime) -> bool:
    with suppress(UnusableFileError):
        leaf = read_certificates(file)[0]
        early = leaf.not_valid_before_utc > at  # issued by a clock that was ahead
        return early or is_due(leaf, at) or not issued_by(leaf, ca.issuing)
    return True


def about(server: str, certificate: x509.Certificate) -> dict[str, str]:
    """What the audit log tells of a certificate that was granted."""
    return {
        "server": server,
        "serial": f"{certificate.serial_number:x}",
        "because": "its last certificate was near its end",
    }
