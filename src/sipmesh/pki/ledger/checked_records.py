"""The records of a ledger, each compared with its certificate: others may be able to write to the ledger."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from cryptography import x509

from sipmesh.errors import OperatorError, Problem
from sipmesh.pki.issuance.profiles import CA_KINDS, LONGEST_LEAF_LIFETIME, CertificateKind
from sipmesh.pki.ledger.certificate_facts import why_record_differs
from sipmesh.pki.ledger.records import Record, can_be_listed
from sipmesh.trust.x509.certificate import issued_by

if TYPE_CHECKING:
    from collections.abc import Collection, Container, Mapping

    from sipmesh.pki.ledger.ledger import Ledger


class CheckedRecords:
    """The certificates of one CA in its *ledger*. *issuers* are the certificates of its root and its issuing CA."""

    def __init__(self, ledger: Ledger, issuers: Mapping[CertificateKind, x509.Certificate]) -> None:
        self._ledger, self._issuers = ledger, issuers

    @property
    def sound(self) -> tuple[Record, ...]:
        """All certificates, oldest first, without rows that were changed: a changed row must stop no other certificate."""
        return tuple(record for record in self._ledger.records() if not why_record_differs(record))

    def changed_rows(self) -> tuple[Problem, ...]:
        """Return a problem for each row of the ledger that cannot be read, or differs from its certificate."""
        differing = ((record, why) for record in self._ledger.records() if (why := why_record_differs(record)))
        return (*self._ledger.unreadable_rows(), *(self._changed(record, why) for record, why in differing))

    def _changed(self, record: Record, why: str) -> Problem:
        return self._ledger.changed_row(f"the certificate {record.serial_hex} {why}")

    def is_as_issued(self, record: Record) -> bool:
        """Tell whether *record* has its certificate, agrees with it, and this CA has signed that."""
        if record.der is None or why_record_differs(record):
            return False
        issuer = self._issuers.get(CertificateKind(record.issuer))
        return issuer is not None and issued_by(x509.load_der_x509_certificate(record.der), issuer)

    def must_be_unchanged(self, servers: Collection[str]) -> None:
        """Raise OperatorError if a row was changed: one of *servers* may have a certificate that is not found by its name."""
        if problems := self.changed_rows():
            raise OperatorError("the CA's ledger was changed", problems)
        for record in self.sound:
            if record.kind not in CA_KINDS and record.names[0] in servers:
                self.must_be_ours(record)

    def must_be_ours(self, record: Record) -> None:
        """Raise OperatorError if another CA has signed the certificate: revoking it would let the real one stay valid."""
        if record.der is not None and not self.is_as_issued(record):
            problem = self._changed(record, "was not signed by this CA")
            raise OperatorError("the CA's ledger was changed", (problem,))

    def find(self, serial: int) -> Record:
        """Return the record of a serial number; raises `OperatorError` if there is none."""
        found = next((record for record in self.sound if record.serial == serial), None)
        if found is None:
            problem = Problem(self._ledger.file, 0, "", f"has no serial {serial:x}", "see `sipmesh ca status`")
            raise OperatorError("this CA has not issued that certificate", (problem,))
        return found

    def of_serial(self, issuer: CertificateKind, serial: int) -> Record | None:
        """Return the record of the certificate with that issuer and serial number, None if there is none."""
        return self._ledger.record(issuer, serial)

    def find_lost(self, serial: int, name: str, at: datetime) -> Record:
        """Return the record of a certificate of *name*; without the certificate if the ledger has lost that.

        Raises `OperatorError` for a certificate of another name, and for a serial number that no certificate has: a server that
        lies may have reported it.
        """
        if not can_be_listed(serial):
            raise OperatorError(f"no certificate has the serial number {serial:x}; see `sipmesh ca status`")
        rows = [record for record in self._ledger.records() if record.serial == serial]
        if as_issued := next(filter(self.is_as_issued, rows), None):
            if as_issued.names[0] != name:
                whose = f"the certificate {serial:x} is of {as_issued.names[0]}, and not of {name}"
                raise OperatorError(f"{whose}; see `sipmesh ca status`")
            return as_issued
        kind, until = kind_of_owner(name), at + LONGEST_LEAF_LIFETIME
        return Record(serial, str(kind.issuer), str(kind), (name,), at, until, der=None, revoked_at=None, reason=None)

    def valid_of(self, names: Container[str], at: datetime) -> list[Record]:
        """Give the records of certificates of servers or operators with these *names* that may be valid at the instant *at*.

        A row without certificate does not count if another client has added it with the serial number of another
        certificate.
        """
        sound = [record for record in self.sound if record.kind in CA_KINDS or record.may_be_valid(at)]
        found = [record for record in sound if record.kind not in CA_KINDS and record.names[0] in names]
        serials = {record.serial for record in found}
        as_issued = [record for record in sound if record.serial in serials and self.is_as_issued(record)]
        taken = {record.serial for record in as_issued}
        return [
            record for record in found if record in as_issued or (record.der is None and record.serial not in taken)
        ]


def kind_of_owner(name: str) -> CertificateKind:
    """Give the kind of a certificate that the ledger has lost, by the name of its owner: only users have an address."""
    return CertificateKind.DEVICE if "@" in name else CertificateKind.SERVER
