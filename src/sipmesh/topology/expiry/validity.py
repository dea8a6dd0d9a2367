"""The dates of a certificate or a CRL: its subject, how it is identified, and how long it is valid."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from pydantic import AwareDatetime

from sipmesh.trust.formatting import tell, tell_subject
from sipmesh.trust.x509.certificate import fingerprint

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
    begins: AwareDatetime
    ends: AwareDatetime

    @classmethod
    def of_certificate(cls, certificate: x509.Certificate) -> Self:
        """Give the dates of a certificate."""
        return cls(
            subject=tell_subject(certificate),
            issuer=tell(certificate.issuer.rfc4514_string()),
            number=f"{certificate.serial_number:x}",
            mark=fingerprint(certificate),
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


@dataclass(frozen=True, slots=True)
class RenewalFault:
    """Why a certificate is not renewed by ACME, since *since*, and what to do."""

    why: str
    remedy: str
    since: AwareDatetime


@dataclass(frozen=True, slots=True)
class Chain:
    """The chain that a server presents, or that is in its file: the leaf first, then the CAs above it.

    *file* is the file of the chain. *fault* says why the file cannot be used, or, where there are
    certificates, why a newer chain in the file is not used. *renewal* says why the server gets no new one by ACME.
    """

    file: str
    certificates: tuple[DatedItem, ...] = ()
    fault: str = ""
    renewal: RenewalFault | None = None

    @property
    def leaf(self) -> DatedItem | None:
        """The server's own certificate, or None."""
        return self.certificates[0] if self.certificates else None
