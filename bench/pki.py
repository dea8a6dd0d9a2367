"""Makes the certificates of the measurements: one root, whom it trusts, a stranger of a trusted name, and a list."""

from __future__ import annotations

import argparse
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding

from sipmesh.demo.forge import Forge, Forged

SERVERS = {"p1": "p1.a.test", "p2": "p2.a.test", "sink": "sink.b.test", "peer": "peer.b.test"}
FIRST_REVOKED = 1 << 120
"""Serials from here on belong to no certificate: they only make the CRL long."""


def make_pki(folder: Path, revoked: int) -> None:
    """Write ``ca.pem``, ``crl.pem``, and certificate and key of each server, ``rogue`` and ``trunk``, into *folder*.

    The trunk has a CA of its own: ``trunk-ca.pem``, with ``trunk-crl.pem``. Files of both CAs begin with ``both-``.
    """
    folder.mkdir(parents=True, exist_ok=True)
    at = datetime.now(UTC)
    root = Forge(at).root("bench")
    (folder / "ca.pem").write_bytes(root.pem_chain)
    (folder / "crl.pem").write_bytes(revocations(root, revoked, at))
    # A forge of its own for each, since one forge gives all its servers the same key.
    for file, name in SERVERS.items():
        names = (name, "a.test") if file in {"p1", "p2"} else (name,)
        Forge(at).server(root, *names).write(folder, file)
    Forge(at).server(Forge(at).root("another"), SERVERS["peer"]).write(folder, "rogue")
    of_trunk = Forge(at).root("trunk")
    (folder / "trunk-ca.pem").write_bytes(of_trunk.pem_chain)
    (folder / "trunk-crl.pem").write_bytes(revocations(of_trunk, revoked, at))
    Forge(at).server(of_trunk, "trunk.test").write(folder, "trunk")
    for file in ("ca.pem", "crl.pem"):
        (folder / f"both-{file}").write_bytes((folder / file).read_bytes() + (folder / f"trunk-{file}").read_bytes())


def revocations(issuer: Forged, revoked: int, at: datetime) -> bytes:
    """Make a list of so many entries; all at once, since a builder that is given one after the other copies them each time."""
    begins = at - timedelta(minutes=5)
    entry = x509.RevokedCertificateBuilder().revocation_date(begins)
    serials = range(FIRST_REVOKED, FIRST_REVOKED + revoked)
    entries = [entry.serial_number(serial).build() for serial in serials]
    builder = x509.CertificateRevocationListBuilder(revoked_certificates=entries)
    builder = builder.issuer_name(issuer.certificate.subject).last_update(begins).next_update(at + timedelta(days=7))
    for extension in (
        x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer.key.public_key()),
        x509.CRLNumber(1),
    ):
        builder = builder.add_extension(extension, critical=False)
    return builder.sign(issuer.key, hashes.SHA256()).public_bytes(Encoding.PEM)


def main() -> None:
    """Write them where the command line says."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--revoked", type=int, default=0, help="entries of the CRL")
    given = parser.parse_args()
    make_pki(given.folder, given.revoked)


if __name__ == "__main__":
    main()
