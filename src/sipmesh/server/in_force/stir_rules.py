"""How a gateway verifies the signatures of each trunk's calls and signs ours: roots and hosts of signers, and our own key."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from sipmesh.topology.document.names import is_url
from sipmesh.topology.document.parts.stir import StirMode
from sipmesh.trust.role import Role

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from sipmesh.topology.document.parts.stir import CallSigner
    from sipmesh.topology.view import ServerView


@dataclass(frozen=True, slots=True)
class OwnSigner:
    """Our certificate for calls, its *key*, and the *url* at which others fetch it."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey
    url: str


@dataclass(frozen=True, slots=True)
class StirRule:
    """Certificates come from *hosts*, and are issued below *anchors*; without an anchor no signature is valid.

    *crls* are the files and URLs of their CRLs; those that certificates name are at *crl_hosts*.
    *signs* tells whether our calls are to be signed, which *own* does; None if its files cannot be used.
    """

    mode: StirMode
    hosts: frozenset[str]
    anchors: Sequence[x509.Certificate]
    signs: bool = False
    own: OwnSigner | None = None
    crls: tuple[str, ...] = ()
    crl_hosts: frozenset[str] = frozenset()

    @property
    def checks_revocation(self) -> bool:
        """Whether a certificate needs a CRL."""
        return bool(self.crls or self.crl_hosts)


def stir_rules(view: ServerView) -> Mapping[str, StirRule]:
    """Return the rule of each trunk that has one, by name; none on other servers than gateways. Anchors are read from disk."""
    if view.role is not Role.GATEWAY:
        return {}
    found = {partner.name: partner.trunk.stir for partner in view.partners if partner.trunk is not None}
    folder = view.loaded.folder
    return {
        name: StirRule(
            stir.incoming,
            frozenset(stir.hosts),
            _anchors([folder / file for file in stir.anchors]),
            stir.sign is not None,
            _signer(folder, stir.sign) if stir.sign is not None else None,
            tuple(name if is_url(name) else str(folder / name) for name in stir.crls),
            frozenset(stir.crl_hosts),
        )
        for name, stir in found.items()
        if stir is not None
    }


def _anchors(files: Sequence[Path]) -> Sequence[x509.Certificate]:
    """Return the certificates in *files*, none if one of them cannot be read: then no signature is valid."""
    try:
        return tuple(one for file in files for one in x509.load_pem_x509_certificates(file.read_bytes()))
    except (OSError, ValueError):
        return ()


def _signer(folder: Path, given: CallSigner) -> OwnSigner | None:
    """Return our signer, None if its files cannot be read, do not belong together, or have a key that is not on P-256."""
    try:
        certificate = x509.load_pem_x509_certificate((folder / given.certificate).read_bytes())
        key = load_pem_private_key((folder / given.key).read_bytes(), None)
    except (OSError, ValueError, TypeError):
        return None
    is_fit = isinstance(key, ec.EllipticCurvePrivateKey) and isinstance(key.curve, ec.SECP256R1)
    if not isinstance(key, ec.EllipticCurvePrivateKey) or not is_fit or key.public_key() != certificate.public_key():
        return None
    return OwnSigner(certificate, key, given.url)
