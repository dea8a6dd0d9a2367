"""Automatic certificate renewal: a server requests its next certificate from management while the present one is valid.

At two thirds of its certificate's life a server makes a new key, and puts a request for it into its status report. It signs
the request with the key of its present certificate. So a server that delivers the request (a front end, for an edge) cannot
request a certificate for another server. Management signs its answer. The server writes the new certificate and its key to
their files. From there it is handled like every new certificate, which is tested before it is presented.
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
from cryptography.x509.oid import ExtendedKeyUsageOID

from sipmesh.distribution.items import Item, ItemKind
from sipmesh.errors import OperatorError, RemoteError
from sipmesh.pki import files
from sipmesh.pki.ca_rotation import CaGenerations
from sipmesh.pki.csr import read_request, request_for
from sipmesh.pki.key_pair import differ, finish_pair, must_be_a_pair, write_pair
from sipmesh.sip.text import ascii_lower
from sipmesh.strict_json import read_json
from sipmesh.topology.document.named_files.read import UnusableFileError
from sipmesh.topology.document.named_files.trust_anchors import read_certificates
from sipmesh.topology.versions.jose import MalformedDocumentError, open_signed, sign
from sipmesh.topology.view import certificate_names
from sipmesh.trust.role import Role
from sipmesh.trust.x509.certificate import UNREADABLE, extension, issued_by

if TYPE_CHECKING:
    from collections.abc import Callable

    from cryptography.hazmat.primitives.asymmetric import ec

    from sipmesh.pki.authority import EnterpriseCa
    from sipmesh.pki.issued import Issued
    from sipmesh.topology.document.load import Loaded
    from sipmesh.topology.view import ServerView

REQUEST = "sipmesh-request"
CERTIFICATE = "sipmesh-certificate"
"""The types of the two signed documents."""


def is_due(certificate: x509.Certificate, at: datetime) -> bool:
    """Return whether two thirds of a certificate's life are over."""
    begin, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    return at >= begin + (end - begin) * 2 / 3


class Applicant:
    """The requesting server; its next key stays in the folder *state* until its certificate has arrived."""

    def __init__(self, server: str, state: Path) -> None:
        self._server, self._key_file = server, state / f"{server}.next-key"
        self._made: tuple[x509.Certificate, str] | None = None

    def __repr__(self) -> str:
        return f"<Applicant {self._server}>"

    def request(self, view: ServerView, at: datetime, issuing: x509.Certificate | None = None) -> str | None:
        """Return the request for the next certificate, signed with the present key; None if it is not needed or not possible.

        It is needed at two thirds of the certificate's life, and if another CA than the certificate's issuer is *issuing* now.
        Nobody has signed *issuing*: it counts if it leads to an anchor in force. Otherwise whoever passes it on would have us ask
        for a certificate without end.

        A certificate that is not from our own authority is never renewed: its owner has to do that.
        """
        try:
            chain = read_certificates(view.certificate)
            is_other_ca = issuing is not None and not issued_by(chain[0], issuing) and _is_in_force(issuing, view, at)
            if not (is_other_ca or is_due(chain[0], at)) or not _is_ours(chain, view):
                return None
            if self._made is None or self._made[0] != chain[0]:
                request = request_for(self._server, self._next_key())
                self._made = chain[0], sign(request, REQUEST, chain, files.read_key(view.key)).decode()
            return self._made[1]
        except (UnusableFileError, OperatorError):  # `ca inventory` and the log report what is wrong with the files
            return None

    def _next_key(self) -> ec.EllipticCurvePrivateKey:
        if self._key_file.exists():
            return files.read_key(self._key_file)
        key = files.new_key()
        files.write(self._key_file, files.key_pem(key), files.SECRET)
        return key

    def show(self, issuing: x509.Certificate, view: ServerView, at: datetime) -> bool:
        """Present this certificate of the issuing CA from now on, if it issued ours and leads to an anchor in force.

        It must be valid at the instant *at*, and not revoked. An earlier one of the same CA does not replace one that counts:
        another server may have kept it, and pass it on.
        """
        try:
            chain = read_certificates(view.certificate)
        except UnusableFileError:
            return False
        if chain[1:] == [issuing] or not issued_by(chain[0], issuing) or not _is_in_force(issuing, view, at):
            return False
        if any(_is_earlier(issuing, present) and _is_in_force(present, view, at) for present in chain[1:]):
            return False
        files.write(
            view.certificate, b"".join(certificate.public_bytes(Encoding.PEM) for certificate in (chain[0], issuing))
        )
        return True

    def accept_certificate(self, payload: bytes, view: ServerView) -> bool:
        """Store a certificate with its key; return False if it is not for the waiting key, for example an earlier answer.

        Raises `RemoteError` for a certificate of another server.
        """
        server, chain = _read(payload)
        if server != self._server:
            raise RemoteError(f"a certificate of {server}", rule="rule R6", status=488)
        if not self._key_file.exists():
            return False
        key = files.read_key(self._key_file)
        if chain[0].public_key() != key.public_key():
            return False
        pem = b"".join(certificate.public_bytes(Encoding.PEM) for certificate in chain)
        must_be_a_pair(view.certificate, view.key)
        write_pair(view.certificate, pem, view.key, files.key_pem(key))
        self._key_file.unlink()
        self._made = None
        return True


def read_issuing(text: str) -> x509.Certificate | None:
    """Read the certificate of the issuing CA in a replication state; None if it is empty or unreadable."""
    try:
        return x509.load_der_x509_certificate(b64decode(text, validate=True)) if text else None
    except (ValueError, *UNREADABLE):
        return None


def _is_earlier(issuing: x509.Certificate, present: x509.Certificate) -> bool:
    """Tell whether *issuing* began before *present*, and both are of the same CA and from the same issuer.

    A certificate from another issuer, such as a cross-certificate, may rightly have begun earlier than the one it replaces.
    """
    if (issuing.subject, issuing.issuer) != (present.subject, present.issuer):
        return False
    return issuing.public_key() == present.public_key() and issuing.not_valid_before_utc < present.not_valid_before_utc


def _is_in_force(issuing: x509.Certificate, view: ServerView, at: datetime) -> bool:
    """Tell whether an anchor in force has issued a certificate that is valid at the instant *at*, and has not revoked it."""
    authority = view.loaded.authority
    if not issuing.not_valid_before_utc <= at <= issuing.not_valid_after_utc:
        return False
    for anchor in authority.anchors:
        crl = authority.lists.find(issuing, anchor)
        if issued_by(issuing, anchor) and (crl is None or issuing.serial_number not in crl.serials):
            return True
    return False


def _is_ours(chain: list[x509.Certificate], view: ServerView) -> bool:
    anchors = {anchor.subject for anchor in view.loaded.authority.anchors}
    return chain[-1].issuer in anchors


def _read(payload: bytes) -> tuple[str, list[x509.Certificate]]:
    try:
        document = read_json(payload)
        return str(document["server"]), x509.load_pem_x509_certificates(document["chain"].encode())
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, *UNREADABLE):
        raise RemoteError("a certificate that cannot be read", rule="rule R6", status=488) from None


MOST_A_DAY: Final = 4
"""How many certificates a server may get in a day: it needs one in twenty days, and one more for a new issuing CA."""

A_DAY: Final = timedelta(days=1)


class Grantor:
    """Management's side: it grants a server the names in the topology, for a request signed with the server's present key.

    *signed* signs a document as management; *granted* is called for each certificate.
    """

    def __init__(
        self,
        folder: Path,
        signed: Callable[[bytes, str], bytes],
        granted: Callable[[str, x509.Certificate], None],
    ) -> None:
        self._folder, self._signed, self._granted = folder, signed, granted
        self._items: dict[str, tuple[str, Item]] = {}
        self._payloads: dict[str, bytes] = {}
        self._granted_at: dict[str, list[datetime]] = {}

    def __repr__(self) -> str:
        return f"<Grantor in {self._folder}: {', '.join(self._items)}>"

    def item(self, server: str) -> Item | None:
        """Return the item with the last certificate that was granted to *server*, None if there is none."""
        granted = self._items.get(server)
        return granted[1] if granted is not None else None

    def asked(self, server: str, request: str, loaded: Loaded, at: datetime) -> bool:
        """Grant the request of *server*, once; return True if there is a new certificate.

        Raises `OperatorError` or `RemoteError` if nothing is granted; the text is the reason.
        """
        key = self._checked(server, request, at)
        digest = sha256(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).hexdigest()
        if self._items.get(server, ("",))[0] == digest:
            return False
        pool = loaded.topology.pool_of(server)
        if pool is None:
            raise RemoteError(f"{server} is not in the topology", rule="rule R5", status=403)
        if pool.role is Role.MANAGEMENT:
            why = (
                f"{server} is a management server: the leader renews its certificate, or it joins again with a new key"
            )
            raise RemoteError(why, rule="rule R6", status=403)
        granted_at = self._granted_lately(server, at)
        issued = CaGenerations(self._folder).current.certify(
            certificate_names(loaded.topology, server), pool.role, key, at
        )
        payload = json.dumps({"server": server, "chain": issued.chain.decode()}).encode()
        item = self._item(server, payload)
        self._granted(server, issued.certificate)  # first: what is not in the audit log is not given to the server
        self._items[server], self._payloads[server] = (digest, item), payload
        self._granted_at[server] = [*granted_at, at]
        return True

    def sign_anew(self) -> None:
        """Sign the stored certificates again, after our signer has a new chain: the old chain expires with its root.

        Raises `OperatorError` if we cannot sign.
        """
        for server, payload in self._payloads.items():
            self._items[server] = (self._items[server][0], self._item(server, payload))

    def _item(self, server: str, payload: bytes) -> Item:
        return Item(ItemKind.CERTIFICATE, self._signed(payload, CERTIFICATE), server)

    def _granted_lately(self, server: str, at: datetime) -> list[datetime]:
        """Return when a server has received certificates in the last day; raises `RemoteError` if they are too many.

        The holder of a server's key could fill the ledger and the audit log.
        """
        lately = [granted_at for granted_at in self._granted_at.get(server, []) if at - granted_at < A_DAY]
        if len(lately) >= MOST_A_DAY:
            raise RemoteError(
                f"{server} has received {len(lately)} certificates in a day, which is the limit",
                rule="rule R6",
                status=403,
            )
        return lately

    def _checked(self, server: str, request: str, at: datetime) -> ec.EllipticCurvePublicKey:
        """Return the key of a request, if it is signed with the key of a certificate that our CA has issued for the server.

        The certificate itself says whose it is: a row of the ledger that was changed or removed keeps no server from renewal.
        """
        try:
            signed = open_signed(request.encode(), REQUEST)
        except MalformedDocumentError as wrong:
            raise RemoteError(f"not a request of {server}: {wrong}", rule="rule R6", status=403) from None
        leaf = signed.chain[0]
        generations = CaGenerations(self._folder)
        if not generations.has_signed(leaf) or not is_server_certificate(leaf, server):
            raise RemoteError(f"a request for {server} is not signed with its key", rule="rule R6", status=403)
        _ca, record = generations.as_issued({leaf.serial_number}).get(leaf.serial_number, (None, None))
        is_revoked = record is not None and record.revoked_at is not None
        is_valid = leaf.not_valid_before_utc <= at <= leaf.not_valid_after_utc
        if is_revoked or not is_valid or not generations.has_issued(leaf):
            raise RemoteError(f"the certificate of {server} has expired or was revoked", rule="rule R6", status=403)
        if not is_due(leaf, at) and issued_by(leaf, generations.current.issuing):
            raise RemoteError(f"the certificate of {server} is not due for renewal", rule="rule R6", status=403)
        name, key = read_request(signed.payload, self._folder)
        if name != server:
            raise RemoteError(f"{server} requests a certificate for {name}", rule="rule R6", status=403)
        return key


def is_server_certificate(leaf: x509.Certificate, server: str) -> bool:
    """Return whether a certificate itself is one of *server*: others may be able to change the names in the ledger.

    The server's own name is the first one; its pool and its SIP domains follow.
    """
    names, usages = extension(leaf, x509.SubjectAlternativeName), extension(leaf, x509.ExtendedKeyUsage)
    is_named = names is not None and [server] == [*map(ascii_lower, names.get_values_for_type(x509.DNSName)[:1])]
    return is_named and usages is not None and ExtendedKeyUsageOID.SERVER_AUTH in usages


def renew_own(view: ServerView, folder: Path, at: datetime) -> list[x509.Certificate]:
    """Renew the certificates that a management server presents and signs with, if they are due or have expired.

    Called before the server listens, and at intervals. The CA is in *folder*. Returns what was issued. Raises `OperatorError`.
    """
    if not CaGenerations.are_in(folder):
        return []
    ca = CaGenerations(folder).current
    names = certificate_names(view.loaded.topology, view.name)
    issued = []
    if _needs(view.certificate, view.key, ca, at):
        issued.append(_renewed(view.certificate, view.key, lambda key: ca.issue(names, view.role, at, key=key)))
    if _needs(*view.signer, ca, at):
        issued.append(_renewed(*view.signer, lambda key: ca.issue_signer(view.name, at, key=key)))
    return issued


def _renewed(
    certificate: Path, key_file: Path, issue: Callable[[ec.EllipticCurvePrivateKey], Issued]
) -> x509.Certificate:
    """Issue a certificate for a new key. The key is on the disk before, so that a crash does not lose it: `finish_own`."""
    must_be_a_pair(certificate, key_file)  # before a certificate is issued
    key, waiting = files.new_key(), _waiting_key(key_file)
    files.write(waiting, files.key_pem(key), files.SECRET)
    made = issue(key)
    made.write(certificate, key_file)
    waiting.unlink()
    return made.certificate


def finish_own(view: ServerView, folder: Path) -> bool:
    """Finish a renewal that ended before both files were in place; return whether there was one. The CA is in *folder*.

    The key was on the disk before its certificate was issued, and the ledger has that. So no other management server is needed.
    Raises `OperatorError`.
    """
    found = [finish_pair(view.certificate, view.key), finish_pair(*view.signer)]
    if CaGenerations.are_in(folder):
        ca = CaGenerations(folder).current
        found += [_finish_from_ledger(*pair, ca) for pair in ((view.certificate, view.key), view.signer)]
    return any(found)


def _finish_from_ledger(certificate: Path, key_file: Path, ca: EnterpriseCa) -> bool:
    """Put a key that waits in its place, with the certificate that the ledger has for it; False if there is none."""
    waiting = _waiting_key(key_file)
    if not waiting.exists():
        return False
    key = files.read_key(waiting)
    leaf = _issued_for(key.public_key(), ca)
    if leaf is None:
        return False
    chain = b"".join(one.public_bytes(Encoding.PEM) for one in (leaf, ca.shown))
    must_be_a_pair(certificate, key_file)
    write_pair(certificate, chain, key_file, files.key_pem(key))
    waiting.unlink()
    return True


def _issued_for(key: ec.EllipticCurvePublicKey, ca: EnterpriseCa) -> x509.Certificate | None:
    """Return the certificate that a CA has issued for a *key* and not revoked, None if there is none."""
    for record in reversed(ca.certificates):
        if record.der is not None and record.revoked_at is None and ca.records.is_as_issued(record):
            leaf = x509.load_der_x509_certificate(record.der)
            if leaf.public_key() == key:
                return leaf
    return None


def _waiting_key(key_file: Path) -> Path:
    return key_file.with_name(f"{key_file.name}.next")


def show_own(view: ServerView, folder: Path) -> None:
    """Put the present certificate of the issuing CA into the chains that a management server presents and signs with."""
    shown = CaGenerations(folder).current.shown
    for file in (view.certificate, view.signer[0]):
        with suppress(UnusableFileError):
            leaf, *above = read_certificates(file)
            if above != [shown] and issued_by(leaf, shown):
                files.write(file, b"".join(certificate.public_bytes(Encoding.PEM) for certificate in (leaf, shown)))


def signer_chain(view: ServerView) -> list[x509.Certificate]:
    """Return the chain with which a management server signs; empty if it cannot be read."""
    with suppress(UnusableFileError):
        return read_certificates(view.signer[0])
    return []


def _needs(file: Path, key_file: Path, ca: EnterpriseCa, at: datetime) -> bool:
    with suppress(UnusableFileError):
        leaf = read_certificates(file)[0]
        if differ(file, key_file):  # a crash came between the two
            return True
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
