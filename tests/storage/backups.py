"""An organisation with a backup, and the folder for its restore."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from pathlib import Path
from unittest.mock import patch

from sipmesh.demo.organisation import Organisation
from sipmesh.pki.issuance.profiles import CertificateKind
from sipmesh.storage.backup import create
from sipmesh.storage.backup.vault import Sealing
from sipmesh.trust.revocation.crl import RevocationList

PASSPHRASE = "correct horse battery staple"
CHEAP_LOG_N = 4
"""The logarithm of the cost of a key derivation without a wait."""

LATER = timedelta(seconds=100)


def moved(organisation: Organisation, folder: Path) -> Organisation:
    """Return the same organisation in the folder that it was restored to."""
    return Organisation(folder, organisation.domain, organisation.host, organisation.ports, organisation.document)


def listed(folder: Path, kind: CertificateKind = CertificateKind.ISSUING) -> RevocationList:
    return RevocationList.load((folder / "ca" / f"{kind}.crl").read_bytes())


@contextmanager
def cheap_vaults() -> Iterator[None]:
    """Make the key of a backup without a wait."""
    with patch.object(create, "Sealing", partial(Sealing, log_n=CHEAP_LOG_N)):
        yield
