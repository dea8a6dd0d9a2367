"""The device issuing CA: it certifies devices of users, below the root of the organisation and beside the issuing CA.

Its files are ``devices.pem``, ``devices.key`` and ``devices.crl``. Its certificate keeps it apart from the issuing CA: path
length 0, the usage clientAuth alone, the policy for devices, and the SIP domains of the organisation as name constraints. A new
certificate of the CA, such as for a new SIP domain, has the same key and name: devices keep their certificates.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from sipmesh.errors import OperatorError, Problem
from sipmesh.pki import files
from sipmesh.pki.ca_folder import generation_of
from sipmesh.pki.crl.updater import publish_crl
from sipmesh.pki.issuance import profiles
from sipmesh.pki.issuance.issue import algorithm_of, issue_certificate, own_key
from sipmesh.pki.issuance.profiles import CertificateKind, CertificateProfile
from sipmesh.pki.issuance.signer import CaSigner
from sipmesh.pki.tokens.key_place import new_key, token_of
from sipmesh.trust.x509.certificate import extension

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from pathlib import Path

    from sipmesh.pki.keys.algorithm import KeyAlgorithm, OwnKey
    from sipmesh.pki.ledger.ledger import Ledger

KIND = CertificateKind.DEVICES


def certify_device_ca(
    folder: Path,
    ledger: Ledger,
    root: x509.Certificate,
    domains: Sequence[str],
    at: datetime,
    generation: int | None = None,
    algorithm: KeyAlgorithm | None = None,
) -> x509.Certificate:
    """Have the *root* certify the device issuing CA in *folder* for the SIP *domains*, and publish its CRL.

    The key is made the first time. Raises `OperatorError` if the key of the root is kept elsewhere.
    """
    wish = device_ca_wish(folder, ledger, root, domains, at, generation, algorithm)
    signer = CaSigner(CertificateKind.ROOT, folder / "root.key", root)
    made = issue_certificate(wish, signer, (root,), ledger, at)
    files.write(folder / f"{KIND}.pem", made.public_bytes(Encoding.PEM))
    publish_crl(folder, CaSigner(KIND, folder / f"{KIND}.key", made), made, ledger, at)
    return made


def device_ca_wish(
    folder: Path,
    ledger: Ledger,
    root: x509.Certificate,
    domains: Sequence[str],
    at: datetime,
    generation: int | None = None,
    algorithm: KeyAlgorithm | None = None,
) -> CertificateProfile:
    """Describe the next certificate of the device issuing CA; it expires with the root at the latest."""
    facts, number = ledger.facts(), generation or generation_of(folder)
    begin, end = profiles.validity(at, profiles.ISSUING_LIFETIME)
    return CertificateProfile(
        kind=KIND,
        subject=profiles.ca_name(facts["organisation"], KIND, number),
        names=(),
        key=_key(
            folder / f"{KIND}.key", f"{facts['organisation']} {KIND} {number}", algorithm or algorithm_of(own_key(root))
        ).public_key(),
        not_before=max(begin, root.not_valid_before_utc),
        not_after=min(end, root.not_valid_after_utc),
        crl_url=f"{facts['crl_base']}/root.crl",
        permitted=tuple(dict.fromkeys(domain.lower() for domain in domains)),
    )


def device_domains(certificate: x509.Certificate | None) -> tuple[str, ...]:
    """Give the SIP domains for whose users a device issuing CA may issue; none without the CA."""
    constraints = extension(certificate, x509.NameConstraints) if certificate is not None else None
    trees = constraints.permitted_subtrees if constraints is not None else None
    return tuple(tree.value for tree in trees or () if isinstance(tree, x509.DNSName))


def no_device_ca(folder: Path) -> OperatorError:
    """Return the error of an organisation without a device issuing CA."""
    problem = Problem(folder / f"{KIND}.pem", 0, "", "is missing", "make the device issuing CA: sipmesh ca devices")
    return OperatorError("there is no CA that issues certificates for devices", (problem,))


def _key(file: Path, label: str, algorithm: KeyAlgorithm) -> OwnKey:
    """Return the key of the CA, made the first time. It is written before it is certified."""
    if not file.exists():
        key = new_key(token_of(file.with_name("issuing.key")), label, algorithm)
        files.write(file, files.key_pem(key), files.SECRET)
    return files.read_key(file)
