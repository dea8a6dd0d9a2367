"""The certificate chains of a simulation: a given file, a file of this machine, or the ledger of the CA."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from cryptography import x509

from sipmesh.errors import OperatorError, Problem
from sipmesh.pki.issuance.profiles import CertificateKind
from sipmesh.topology.document.named_files.read import UnusableFileError
from sipmesh.topology.document.named_files.trust_anchors import read_certificates
from sipmesh.topology.view import view

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sipmesh.cli.place import Place
    from sipmesh.topology.document.load import Loaded
    from sipmesh.trust.evidence import LinkKind

Chain = list[x509.Certificate]


def read_chain(file: Path) -> Chain:
    """Read the chain in *file*, the leaf first; raises `OperatorError` if it has no certificate."""
    try:
        return read_certificates(file)
    except UnusableFileError as wrong:
        problem = Problem(file, 0, "", str(wrong), "name a PEM or DER file, the leaf first")
        raise OperatorError("there is no certificate to judge", (problem,)) from None


def chain_of(place: Place, loaded: Loaded, server: str, kind: LinkKind, peer: str = "") -> Chain:
    """Return what *server* presents to *peer* on links of *kind*: its file, else the newest one in the ledger; empty if none."""
    file, _ = view(loaded, server).identity(kind, peer)
    if file.exists():
        return read_chain(file)
    return list(_from_ledger(place, server))


def _from_ledger(place: Place, server: str) -> Sequence[x509.Certificate]:
    try:
        generations = place.generations()
    except OperatorError:
        return ()
    now = datetime.now(UTC)
    for ca in reversed(generations.alive):
        issued = [one for one in ca.certificates if one.kind == CertificateKind.SERVER and server in one.names[:1]]
        valid = [one for one in issued if one.der is not None and one.not_after > now]
        if valid:
            newest = max(reversed(valid), key=lambda record: record.not_before)  # the last one of the same second
            return [x509.load_der_x509_certificate(newest.der or b""), *ca.presented]
    return ()
