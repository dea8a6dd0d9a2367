"""Keeps the CRLs of our CAs up to date: which are due, and the next one of each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from sipmesh.errors import OperatorError, Problem
from sipmesh.pki import files
from sipmesh.pki.crl import builder as crl
from sipmesh.pki.crl.earlier import EarlierCrl, number_of
from sipmesh.pki.crl.issue import issue_crl
from sipmesh.pki.issuance import profiles
from sipmesh.pki.issuance.profiles import CA_KINDS, CertificateKind
from sipmesh.pki.issuance.signer import CaSigner
from sipmesh.pki.ledger.ledger import FENCED
from sipmesh.pki.ledger.refusals import LedgerRefusedError
from sipmesh.pki.lock import ca_lock
from sipmesh.pki.status import ListStatus

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from datetime import datetime
    from pathlib import Path

    from sipmesh.pki.crl.builder import CrlProfile
    from sipmesh.pki.ledger.ledger import Ledger
    from sipmesh.pki.ledger.records import Record
    from sipmesh.pki.ledger.ticket import CrlTicket


class CrlUpdater:
    """Publishes the CRLs of one CA folder: of the CAs in *certificates*. Instants are timezone-aware."""

    def __init__(self, folder: Path, ledger: Ledger, certificates: Mapping[CertificateKind, x509.Certificate]) -> None:
        self._folder, self._ledger, self._certificates = folder, ledger, certificates

    @property
    def kinds(self) -> tuple[CertificateKind, ...]:
        """The CAs whose CRLs are ours, the root first. There may be no device issuing CA, and the root may be of others."""
        return tuple(kind for kind in CA_KINDS if kind in self._certificates)

    def certificate_of(self, kind: CertificateKind) -> x509.Certificate:
        """Give the certificate of a CA in the folder."""
        return self._certificates[kind]

    def readable(self, kind: CertificateKind) -> x509.CertificateRevocationList | None:
        """Give the CRL of a CA that is published; None if there is none that the CA has signed."""
        return EarlierCrl(self._folder / f"{kind}.crl", self._certificates[kind], kind).crl

    def entry(self, kind: CertificateKind, serial: int) -> x509.RevokedCertificate | None:
        """Give the entry of a serial number in the CRL of a CA; None if the CRL does not list it, or cannot be read."""
        return EarlierCrl(self._folder / f"{kind}.crl", self._certificates[kind], kind).entry(serial)

    def publish(self, at: datetime, kind: CertificateKind = CertificateKind.ISSUING) -> Path:
        """Sign and publish the next CRL, whether it is due or not; returns its file."""
        with ca_lock(self._folder):
            return self.publish_locked(at, kind)

    def in_force(self, kind: CertificateKind = CertificateKind.ISSUING) -> EarlierCrl:
        """Give the CRL that is published; raises OperatorError if it cannot be read."""
        found = EarlierCrl(file := self._folder / f"{kind}.crl", self._certificates[kind], kind)
        if not found.is_there:
            problem = Problem(file, 0, "", "is missing, or was changed", "sign it again: sipmesh ca crl")
            raise OperatorError("it is not known which certificates are revoked", (problem,))
        return found

    def lists(self, kind: CertificateKind, serial: int) -> bool:
        """Tell whether the CRL of a CA lists a serial number; False if there is no readable CRL."""
        return self.entry(kind, serial) is not None

    def due(self, at: datetime) -> tuple[CertificateKind, ...]:
        """Give the CRLs that are due: by their age, or because the published file is not the newest one of the ledger."""
        return tuple(kind for kind in self.kinds if self._is_due(kind, at))

    def reissue(self, at: datetime) -> tuple[Path, ...]:
        """Sign and publish the CRLs that are due; returns their files. The root is last: its key may be kept elsewhere."""
        with ca_lock(self._folder):
            return tuple(self.publish_locked(at, kind) for kind in reversed(self.due(at)))

    @property
    def signed_last(self) -> datetime | None:
        """When the newest CRL was signed, by the clock of that time; None if there is none."""
        made = (self._ledger.last_list(kind) for kind in self.kinds)
        return max((last.this_update + profiles.BACKDATED for last in made if last is not None), default=None)

    def jump(self, by: int, fencing: int = 0) -> None:
        """Increase the next CRL numbers by *by*, and to those of *fencing*, after a restore. Then all CRLs are due."""
        with ca_lock(self._folder):
            self._ledger.jump(by, fencing)

    def has_key(self, kind: CertificateKind) -> bool:
        """Tell whether the key of a CA is in the folder. That of the root may be kept elsewhere."""
        return (self._folder / f"{kind}.key").exists()

    def status(self, at: datetime) -> tuple[ListStatus, ...]:
        """Give the status of the newest CRL of each CA."""
        return tuple(self._status(kind, at) for kind in self.kinds)

    def _status(self, kind: CertificateKind, at: datetime) -> ListStatus:
        made = self._ledger.last_list(kind)
        revoked = len(crl.listed(self._ledger.records(), kind, at))
        return ListStatus(kind, self._folder / f"{kind}.crl", made, at, revoked, due=self._is_due(kind, at))

    def _is_due(self, kind: CertificateKind, at: datetime) -> bool:
        made = self._ledger.last_list(kind)
        due = made is None or at >= crl.due_from(made, key_is_here=self.has_key(kind))
        if made is not None and made.this_update > at:  # signed by a clock that was ahead: peers do not accept it yet
            return True
        if made is None or due or made.revoked != self._ledger.revocations(kind):
            return True
        if self.has_key(kind) and made.number // FENCED < self._ledger.fencing:  # of the leader before
            return True
        return _number_in(self._folder / f"{kind}.crl") != made.number

    def publish_locked(self, at: datetime, kind: CertificateKind, revoked: Collection[Record] = ()) -> Path:
        """Publish as `publish` does, while the caller has the lock; raises OperatorError if the key is not here.

        The CRL lists what is *revoked* now, and does not read it from the ledger. A revocation does not wait: if the
        ledger does not store the CRL, it is published all the same, and then `LedgerRefusedError` is raised.
        """
        if kind not in self.kinds:
            problem = Problem(self._folder / "root.pem", 0, "", "is of another CA", "ask its owner to revoke it there")
            raise OperatorError("the CRL of the root cannot be signed here", (problem,))
        if not self.has_key(kind):
            remedy = (
                "request a CRL from the root: sipmesh ca root request list FILE; or restore the key from your backup"
            )
            problem = Problem(self._folder / f"{kind}.key", 0, "", "is on another machine", remedy)
            raise OperatorError(f"the CRL of the {kind} CA cannot be signed here", (problem,))
        signer = CaSigner(kind, self._folder / f"{kind}.key", self._certificates[kind])
        issuer = self._certificates[kind]
        try:
            return publish_crl(self._folder, signer, issuer, self._ledger, at, revoked)
        except LedgerRefusedError:
            if revoked:
                publish_crl(self._folder, signer, issuer, self._ledger, at, revoked, is_stored=False)
            raise


def publish_crl(
    folder: Path,
    signer: CaSigner,
    issuer: x509.Certificate,
    ledger: Ledger,
    at: datetime,
    revoked: Collection[Record] = (),
    *,
    is_stored: bool = True,
) -> Path:
    """Journal, sign and publish a CRL; returns its file. The caller has the lock. *is_stored* is that of `next_crl`."""
    wish, ticket = next_crl(folder, signer.kind, issuer, ledger, at, revoked, is_stored=is_stored)
    signed = issue_crl(wish, signer, ticket, folder)
    files.write(file := folder / f"{signer.kind}.crl", signed.public_bytes(Encoding.PEM))
    return file


def next_crl(
    folder: Path,
    kind: CertificateKind,
    issuer: x509.Certificate,
    ledger: Ledger,
    at: datetime,
    revoked: Collection[Record] = (),
    *,
    is_stored: bool = True,
) -> tuple[CrlProfile, CrlTicket]:
    """Journal the next CRL of *issuer*, and give its content and the ticket for its signature. The caller has the lock.

    It follows the CRL in *folder*: it has a higher number, and each entry that has not ended. It lists what is
    *revoked* now, and does not read it from the ledger: others may be able to write there. Without *is_stored* it is
    not journalled: the ledger refuses it.
    """
    before = EarlierCrl(folder / f"{kind}.crl", issuer, kind)
    journal = ledger.reserve_list if is_stored else ledger.list_without_row
    ticket = journal(kind, *crl.times(kind, at), above=before.number)
    records = ledger.records()
    listed = list({record.serial: record for record in (*crl.listed(records, kind, at), *revoked)}.values())
    return crl.CrlProfile(issuer, ticket.record, listed, before.to_keep(records, listed, at)), ticket


def _number_in(file: Path) -> int | None:
    """Give the number of a published CRL; None if there is no readable CRL."""
    try:
        return number_of(x509.load_pem_x509_crl(file.read_bytes()))
    except (OSError, ValueError):
        return None
