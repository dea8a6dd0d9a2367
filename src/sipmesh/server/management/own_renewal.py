"""A management server renews the certificates that it presents and signs with."""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from cryptography import x509

from sipmesh.pki import files
from sipmesh.pki.ca_rotation import CaGenerations
from sipmesh.pki.key_pair import differ, finish_pair, must_be_a_pair, write_pair
from sipmesh.pki.keys.algorithm import KeyAlgorithm
from sipmesh.pki.tokens.key_place import kept_key
from sipmesh.server.replication.renewal import is_due
from sipmesh.topology.document.named_files.read import UnusableFileError
from sipmesh.topology.document.named_files.trust_anchors import read_certificates
from sipmesh.topology.view import certificate_names
from sipmesh.trust.x509.certificate import issued_by

if TYPE_CHECKING:
    from collections.abc import Callable

    from sipmesh.pki.authority import EnterpriseCa
    from sipmesh.pki.issued import Issued
    from sipmesh.pki.keys.algorithm import OwnKey, OwnPublicKey
    from sipmesh.topology.view import ServerView


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
        issued.append(
            _renewed(
                view.certificate, view.key, KeyAlgorithm.P_256, lambda key: ca.issue(names, view.role, at, key=key)
            )
        )
    if _needs(*view.signer, ca, at):
        issued.append(
            _renewed(*view.signer, ca.algorithm.of_leaves, lambda key: ca.issue_signer(view.name, at, key=key))
        )
    return issued


def _renewed(
    certificate: Path, key_file: Path, algorithm: KeyAlgorithm, issue: Callable[[OwnKey], Issued]
) -> x509.Certificate:
    """Issue a certificate for a new key, or for the key in a token.

    The key is on the disk before, so that a crash does not lose it: `finish_own`.
    """
    must_be_a_pair(certificate, key_file)  # before a certificate is issued
    key, waiting = kept_key(key_file) or algorithm.new_key(), _waiting_key(key_file)
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
    chain = files.certificates_pem((leaf, *ca.presented))
    must_be_a_pair(certificate, key_file)
    write_pair(certificate, chain, key_file, files.key_pem(key))
    waiting.unlink()
    return True


def _issued_for(key: OwnPublicKey, ca: EnterpriseCa) -> x509.Certificate | None:
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
    presented = CaGenerations(folder).current.presented
    for file in (view.certificate, view.signer[0]):
        with suppress(UnusableFileError):
            leaf, *above = read_certificates(file)
            if tuple(above) != presented and issued_by(leaf, presented[0]):
                files.write(file, files.certificates_pem((leaf, *presented)))


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
