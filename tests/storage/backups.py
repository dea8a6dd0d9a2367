"""An organisation with a backup, and the folder for its restore."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from sipmesh.demo.organisation import Organisation
from sipmesh.pki.issuance.profiles import CertificateKind
from sipmesh.trust.revocation.crl import RevocationList

PASSPHRASE = "correct horse battery staple"
LATER = timedelta(seconds=100)


def moved(organisation: Organisation, folder: Path) -> Organisation:
    """Return the same organisation in the folder that it was restored to."""
    return Organisation(folder, organisation.domain, organisation.host, organisation.ports, organisation.document)


def listed(folder: Path, kind: CertificateKind = CertificateKind.ISSUING) -> RevocationList:
    return RevocationList.load((folder / "ca" / f"{kind}.crl").read_bytes())
