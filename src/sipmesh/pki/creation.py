"""A new CA: root, issuing CA, device issuing CA and their first CRLs."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from cryptography.hazmat.primitives.serialization import Encoding

from sipmesh.pki import files
from sipmesh.pki.crl.updater import publish_crl
from sipmesh.pki.device_ca import certify_device_ca
from sipmesh.pki.issuance import profiles
from sipmesh.pki.issuance.issue import issue_certificate
from sipmesh.pki.issuance.profiles import CertificateKind, CertificateProfile
from sipmesh.pki.issuance.signer import CaSigner
from sipmesh.pki.ledger.ledger import Ledger
from sipmesh.pki.tokens.key_place import new_key

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

    from cryptography import x509

    from sipmesh.pki.keys.algorithm import KeyAlgorithm
    from sipmesh.pki.tokens.token_uri import TokenUri

NO_TOKENS: Final[Mapping[CertificateKind, TokenUri]] = MappingProxyType({})


def build(
    folder: Path,
    organisation: str,
    crl_base: str,
    at: datetime,
    algorithm: KeyAlgorithm,
    generation: int,
    domains: Sequence[str],
    tokens: Mapping[CertificateKind, TokenUri] = NO_TOKENS,
) -> None:
    """Make a complete CA in an empty folder; without *domains* there is no device issuing CA. *tokens* keep keys."""
    ledger = Ledger.create(folder, {"organisation": organisation, "crl_base": crl_base})
    above: tuple[x509.Certificate, ...] = ()
    signer: CaSigner | None = None
    for kind, lifetime in (
        (CertificateKind.ROOT, profiles.ROOT_LIFETIME),
        (CertificateKind.ISSUING, profiles.ISSUING_LIFETIME),
    ):
        key = new_key(tokens.get(kind), f"{organisation} {kind} {generation}", algorithm)
        key_file = folder / f"{kind}.key"
        files.write(key_file, files.key_pem(key), files.SECRET)
        wish = CertificateProfile(
            kind=kind,
            subject=profiles.ca_name(organisation, kind, generation),
            names=(),
            key=key.public_key(),
            not_before=profiles.validity(at, lifetime)[0],
            not_after=profiles.validity(at, lifetime)[1],
            crl_url="" if kind is CertificateKind.ROOT else f"{crl_base}/root.crl",
        )
        made = issue_certificate(wish, signer or CaSigner(kind, key_file), above, ledger, at)
        files.write(folder / f"{kind}.pem", made.public_bytes(Encoding.PEM))
        above, own = (made, *above), CaSigner(kind, key_file, made)
        signer = signer or own
        publish_crl(folder, own, made, ledger, at)
    if domains:
        certify_device_ca(folder, ledger, above[-1], domains, at, generation, algorithm)
