"""Issue a certificate for an entry of the topology that has enrolled: the CA, the audit log, and what was issued before."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from sipmesh.errors import OperatorError
from sipmesh.storage.audit_act import AuditAct
from sipmesh.storage.enrolment.enrolled_certificates import EnrolledCertificate

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from sipmesh.pki.ca_rotation import CaGenerations
    from sipmesh.pki.issued import Certified
    from sipmesh.pki.keys.algorithm import OwnPublicKey
    from sipmesh.server.enrolment.enrollable import Enrollable
    from sipmesh.storage.enrolment.enrolled_certificates import EnrolledCertificates
    from sipmesh.storage.management_db import ManagementDb
    from sipmesh.topology.document.parts.enrolment import EnrolmentProtocol

MOST_A_DAY: Final = 6
"""Certificates of one name in a day: one is due in twenty days. The holder of a key could fill ledger and audit log."""


class TooManyCertificatesError(OperatorError):
    """The name has received the certificates of a day."""


@dataclass(frozen=True, slots=True)
class Proof:
    """How an entry has proved its name: in words, for the audit log. *account* is that of ACME.

    *use* is called while no other process issues. If it raises, nothing is signed. *replaces* is the serial number of the
    certificate that ends with the new one.
    """

    protocol: EnrolmentProtocol
    because: str
    use: Callable[[], None]
    account: str = ""
    replaces: str = ""


def must_have_certificates_left(issued: EnrolledCertificates, name: str, at: datetime) -> None:
    """Raise `TooManyCertificatesError` if *name* has received the certificates of a day."""
    if issued.of_last_day(name, at.timestamp()) >= MOST_A_DAY:
        raise TooManyCertificatesError(
            f"{name} has received {MOST_A_DAY} certificates in a day, which is the limit; try again tomorrow"
        )


class EnrolmentIssuer:
    """Issues with the current CA of *generations*, and writes to *management_db*."""

    def __init__(self, generations: CaGenerations, management_db: ManagementDb) -> None:
        self._generations, self._management_db = generations, management_db

    def issue(self, entry: Enrollable, key: OwnPublicKey, proof: Proof, at: datetime) -> Certified:
        """Issue a certificate with the names of *entry* for *key*; raises `OperatorError`, and then nothing was issued."""
        issued = self._management_db.enrolled_certificates

        def check() -> None:
            must_have_certificates_left(issued, entry.name, at)
            proof.use()

        made = self._generations.current.certify(entry.names, entry.role, key, at, check=check)
        serial = f"{made.certificate.serial_number:x}"
        about = {"server": entry.name, "serial": serial, "protocol": str(proof.protocol), "because": proof.because}
        self._management_db.audit.append(entry.name, AuditAct.ISSUE, about, at=at)
        row = EnrolledCertificate(serial, entry.name, proof.account, str(proof.protocol), at.timestamp())
        issued.add(row, proof.replaces)
        return made
