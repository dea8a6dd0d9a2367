"""The identifier of a certificate in renewal information (RFC 9773 4.1): key identifier of its issuer, and serial number."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sipmesh.server.enrolment.problem import AcmeProblemError
from sipmesh.sip import base64url
from sipmesh.trust.x509.certificate import LONGEST_SERIAL

if TYPE_CHECKING:
    from typing import Self

LONGEST = 128


@dataclass(frozen=True, slots=True)
class CertificateId:
    """The *issuer* is the key identifier in the certificate's authority key identifier."""

    issuer: bytes
    serial: int

    @classmethod
    def read(cls, given: object) -> Self:
        """Read an identifier; raises `AcmeProblemError`."""
        text = given if isinstance(given, str) and len(given) <= LONGEST else ""
        try:
            issuer, serial = (base64url.decode(part.encode("ascii")) for part in text.split("."))
        except ValueError:
            raise AcmeProblemError("malformed", "this is no identifier of a certificate (RFC 9773 4.1)", 400) from None
        if not issuer or not 0 < len(serial) <= LONGEST_SERIAL + 1:
            raise AcmeProblemError("malformed", "this is no identifier of a certificate (RFC 9773 4.1)", 400)
        return cls(issuer, int.from_bytes(serial))

    @property
    def serial_hex(self) -> str:
        """The serial number in lower-case hex."""
        return f"{self.serial:x}"
