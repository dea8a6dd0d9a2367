"""A certificate or a revocation list as far as time matters: whose it is, what it is known by, and how long it counts."""

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
    """One certificate, or one list; instants are timezone-aware.

    *number* is what people call it by: the serial in hex, or the number of a list. *mark* tells it from every other of
    its kind: the SHA-256 of a certificate, number and time of a list. A list's *subject* is its issuer.
    """

    subject: str
    issuer: str
    number: str
    mark: str
    begins: AwareDatetime
    ends: AwareDatetime

    @classmethod
    def of_certificate(cls, held: x509.Certificate) -> Self:
        """What counts of a certificate."""
        return cls(
            subject=tell_subject(held),
            issuer=tell(held.issuer.rfc4514_string()),
            number=f"{held.serial_number:x}",
            mark=fingerprint(held),
            begins=held.not_valid_before_utc,
            ends=held.not_valid_after_utc,
        )

    @classmethod
    def of_list(cls, held: RevocationList) -> Self:
        """What counts of a revocation list."""
        issuer = tell(held.issuer.rfc4514_string())
        kind = "" if held.base is None else f" (delta on {held.base})"
        return cls(
            subject=issuer,
            issuer=issuer,
            number=f"{held.number}{kind}",
            mark=f"{held.number} of {held.this_update.isoformat()}",
            begins=held.this_update,
            ends=held.next_update,
        )


@dataclass(frozen=True, slots=True)
class Chain:
    """What a server shows, or what lies in its file: the leaf first, then the CAs above it.

    *file* is where it lies, or lay. *fault* says why the file cannot be used; beside papers, why something newer is not.
    """

    file: str
    papers: tuple[DatedItem, ...] = ()
    fault: str = ""

    @property
    def leaf(self) -> DatedItem | None:
        """The server's own certificate, if there is any."""
        return self.papers[0] if self.papers else None
