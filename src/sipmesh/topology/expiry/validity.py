"""The dates of a certificate or a CRL: its subject, how it is identified, and how long it is valid."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Self

from cryptography.hazmat.primitives import hashes

from sipmesh.trust.formatting import tell, tell_subject

if TYPE_CHECKING:
    from cryptography import x509

    from sipmesh.trust.revocation.crl import RevocationList


@dataclass(frozen=True, slots=True)
class DatedItem:
    """The dates of one certificate or CRL. Instants are timezone-aware.

    *number* is for people: the serial number in hex, or the number of a CRL. *mark* is unique for its kind: the SHA-256 of a
    certificate, or number and time of a CRL. The *subject* of a CRL is its issuer.
    """

    subject: str
    issuer: str
    number: str
    mark: str
    begins: datetime
    ends: datetime

    @classmethod
    def of_certificate(cls, certificate: x509.Certificate) -> Self:
        """Give the dates of a certificate."""
        return cls(
            subject=tell_subject(certificate),
            issuer=tell(certificate.issuer.rfc4514_string()),
            number=f"{certificate.serial_number:x}",
            mark=certificate.fingerprint(hashes.SHA256()).hex(),
            begins=certificate.not_valid_before_utc,
            ends=certificate.not_valid_after_utc,
        )

    @classmethod
    def of_list(cls, crl: RevocationList) -> Self:
        """Give the dates of a CRL."""
        issuer = tell(crl.issuer.rfc4514_string())
        kind = "" if crl.base is None else f" (delta on {crl.base})"
        return cls(
            subject=issuer,
            issuer=issuer,
            number=f"{crl.number}{kind}",
            mark=f"{crl.number} of {crl.this_update.isoformat()}",
            begins=crl.this_update,
            ends=crl.next_update,
        )

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        """Read the result of `to_json`; raises KeyError, TypeError or ValueError for other values."""
        begins, ends = (datetime.fromisoformat(data[key]) for key in ("begins", "ends"))
        if begins.tzinfo is None or ends.tzinfo is None:
            raise ValueError("an instant without a timezone")
        subject, issuer, number, mark = (str(data[key]) for key in ("subject", "issuer", "number", "mark"))
        return cls(subject, issuer, number, mark, begins, ends)

    def to_json(self) -> dict[str, str]:
        """Give JSON values. Instants are in ISO 8601."""
        return {
            "subject": self.subject,
            "issuer": self.issuer,
            "number": self.number,
            "mark": self.mark,
            "begins": self.begins.isoformat(),
            "ends": self.ends.isoformat(),
        }


@dataclass(frozen=True, slots=True)
class Chain:
    """The chain that a server presents, or that is in its file: the leaf first, then the CAs above it.

    *file* is the file of the chain. *fault* says why the file cannot be used. If there are papers too, *fault* says why a newer
    chain in the file is not used.
    """

    file: str
    papers: tuple[DatedItem, ...] = ()
    fault: str = ""

    @property
    def leaf(self) -> DatedItem | None:
        """The server's own certificate, or None."""
        return self.papers[0] if self.papers else None

    def to_json(self) -> dict[str, Any]:
        """Give JSON values."""
        return {"file": self.file, "chain": [item.to_json() for item in self.papers], "fault": self.fault}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        """Read the result of `to_json`; raises KeyError, TypeError or ValueError for other values."""
        papers = tuple(DatedItem.from_json(item) for item in data["chain"])
        return cls(str(data["file"]), papers, str(data["fault"]))
