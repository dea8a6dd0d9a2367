"""A managed server that requests its next certificate while the present one is valid (`server/replication/renewal.py`)."""

from __future__ import annotations

from base64 import b64decode
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from cryptography import x509

from sipmesh.errors import OperatorError, RemoteError
from sipmesh.pki import files
from sipmesh.pki.csr import request_for
from sipmesh.pki.importing.ca_path import ADOPTED
from sipmesh.pki.key_pair import must_be_a_pair, write_pair
from sipmesh.pki.keys.algorithm import KeyAlgorithm, algorithm_below
from sipmesh.server.replication.renewal import REQUEST, is_due
from sipmesh.topology.document.named_files.read import UnusableFileError
from sipmesh.topology.document.named_files.trust_anchors import parse_certificates, read_certificates
from sipmesh.topology.versions.jose import sign
from sipmesh.trust.path.chain import DEEPEST
from sipmesh.trust.x509.certificate import (
    UNREADABLE,
    MalformedCertificateError,
    is_authority,
    issued_by,
    read_certificate,
)
from sipmesh.typed_json import UnreadableJsonError, read_document

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sipmesh.pki.keys.algorithm import OwnKey
    from sipmesh.topology.view import ServerView
    from sipmesh.trust.authority import Authority


class Applicant:
    """The requesting server; its next key stays in the folder *state* until its certificate has arrived."""

    def __init__(self, server: str, state: Path) -> None:
        self._server, self._key_file = server, state / f"{server}.next-key"
        self._made: tuple[x509.Certificate, KeyAlgorithm, str] | None = None

    def request(self, view: ServerView, at: datetime, issuing: Sequence[x509.Certificate] = ()) -> str | None:
        """Return the request for the next certificate, signed with the present key; None if it is not needed or not possible.

        It is needed at two thirds of the certificate's life, and if another CA than the certificate's issuer is *issuing* now.
        *issuing* (that CA, and the CAs between it and its root) comes without a signature of management: it counts if it leads to
        an anchor in force. Otherwise a server that passes it on could have us request certificates without end, or make a key of
        a weaker algorithm.

        A certificate that is not from our own authority is never renewed: its owner has to do that.
        """
        try:
            chain = read_certificates(view.certificate)
            is_other_ca = bool(issuing) and not issued_by(chain[0], issuing[0]) and _is_in_force(issuing, view, at)
            if not (is_other_ca or is_due(chain[0], at)) or not _is_ours(chain, view):
                return None
            algorithm = algorithm_below(issuing if is_other_ca else chain[1:])
            if self._made is None or self._made[:2] != (chain[0], algorithm):
                request = request_for(self._server, self._next_key(algorithm))
                self._made = chain[0], algorithm, sign(request, REQUEST, chain, files.read_key(view.key)).decode()
            return self._made[2]
        except (UnusableFileError, OperatorError):  # `ca inventory` and the log report what is wrong with the files
            return None

    def _next_key(self, algorithm: KeyAlgorithm) -> OwnKey:
        """Return the next key; one of another algorithm that waits, from before a new root, gives way."""
        if self._key_file.exists():
            waiting = files.read_key(self._key_file)
            if KeyAlgorithm.of(waiting) is algorithm:
                return waiting
        key = algorithm.new_key()
        files.write(self._key_file, files.key_pem(key), files.SECRET)
        return key

    def show(self, issuing: Sequence[x509.Certificate], view: ServerView, at: datetime) -> bool:
        """Present *issuing* from now on, the issuing CA and CAs above it, if it issued ours and they lead to an anchor in force.

        It must be valid at the instant *at*, and not revoked. An earlier one of the same CA does not replace a valid one:
        another server may have kept it, and pass it on.
        """
        try:
            chain = read_certificates(view.certificate)
        except UnusableFileError:
            return False
        if chain[1:] == [*issuing] or not issued_by(chain[0], issuing[0]) or not _is_in_force(issuing, view, at):
            return False
        if any(_is_earlier(issuing[0], present) for present in chain[1:]) and _is_in_force(chain[1:], view, at):
            return False
        files.write(view.certificate, files.certificates_pem((chain[0], *issuing)))
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
        must_be_a_pair(view.certificate, view.key)
        write_pair(view.certificate, files.certificates_pem(chain), view.key, files.key_pem(key))
        self._key_file.unlink()
        self._made = None
        return True


def read_issuing(text: str) -> tuple[x509.Certificate, ...]:
    """Read the certificate of the issuing CA in a replication state, and those above it; empty if one is unreadable."""
    try:
        return tuple(read_certificate(b64decode(one, validate=True)) for one in text.split(" ", DEEPEST) if one)
    except (ValueError, MalformedCertificateError):
        return ()


def _is_earlier(issuing: x509.Certificate, present: x509.Certificate) -> bool:
    """Tell whether *issuing* began before *present*, and both are of the same CA and from the same issuer.

    A certificate from another issuer, such as a cross-certificate, may rightly have begun earlier than the one it replaces.
    """
    if (issuing.subject, issuing.issuer) != (present.subject, present.issuer):
        return False
    return issuing.public_key() == present.public_key() and issuing.not_valid_before_utc < present.not_valid_before_utc


def _is_in_force(issuing: Sequence[x509.Certificate], view: ServerView, at: datetime) -> bool:
    """Tell whether each is a CA that has issued its predecessor, and an anchor the last one, all valid at *at*, not revoked."""
    authority = view.loaded.authority
    if not all(is_authority(one) and one.not_valid_before_utc <= at <= one.not_valid_after_utc for one in issuing):
        return False
    between = pairwise(issuing)
    return all(_stands(one, above, authority) for one, above in between) and any(
        _stands(issuing[-1], anchor, authority) for anchor in authority.anchors
    )


def _stands(one: x509.Certificate, above: x509.Certificate, authority: Authority) -> bool:
    """Tell whether *above* has issued a certificate and has not revoked it, as far as a CRL is here."""
    crl = authority.lists.find(one, above)
    return issued_by(one, above) and (crl is None or one.serial_number not in crl.serials)


def _is_ours(chain: list[x509.Certificate], view: ServerView) -> bool:
    """Tell whether a chain leads to a root of our CA. Under an adopted root, management renews nothing."""
    named = [name for name in view.loaded.topology.authority.anchors if name.startswith(ADOPTED)]
    embedded = view.loaded.embedded or {}
    adopted = {one.subject for name in named if name in embedded for one in parse_certificates(embedded[name])}
    return chain[-1].issuer in {anchor.subject for anchor in view.loaded.authority.anchors} - adopted


@dataclass(frozen=True, slots=True)
class _GivenChain:
    """A new certificate for *server*, with its issuers, in PEM."""

    server: str
    chain: str


def _read(payload: bytes) -> tuple[str, list[x509.Certificate]]:
    try:
        found = read_document(_GivenChain, payload)
        return found.server, x509.load_pem_x509_certificates(found.chain.encode())
    except (ValueError, UnreadableJsonError, *UNREADABLE) as wrong:
        raise RemoteError(f"a certificate that cannot be read ({wrong})", rule="rule R6", status=488) from None
