"""TLSA records (RFC 6698 2), and whether one of them matches a verified path."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final, Self

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from cryptography import x509

MOST_RECORDS: Final = 32
"""Records of one name that are compared."""

_HASHES: Final = {1: hashlib.sha256, 2: hashlib.sha512}
_USAGES, _SELECTORS, _MATCHING = range(4), range(2), range(3)  # RFC 6698 7
DANE_TA, DANE_EE = 2, 3
_OF_LEAF: Final = frozenset({1, 3})  # PKIX-EE and DANE-EE; 0 and 2 are of a CA of the path


class DaneMode(StrEnum):
    """Whether the TLSA records of a partner are a further check beside its CA, or count alone in place of a CA."""

    OFF = "off"
    CHECK = "check"
    ONLY = "only"


class DaneStatus(StrEnum):
    """What a validating resolver says of the answer (RFC 4033 5). UNKNOWN: none has answered yet."""

    SECURE = "secure"
    INSECURE = "insecure"
    BOGUS = "bogus"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class TlsaRecord:
    """One record: certificate usage, selector, matching type, and the *data* to compare with."""

    usage: int
    selector: int
    matching: int
    data: bytes

    @classmethod
    def read(cls, text: str) -> Self | None:
        """Read the text form of zone files; None for a record that is unusable (RFC 6698 4.1): it does not count."""
        try:
            usage, selector, matching, *data = text.split(" ")
            read = cls(int(usage), int(selector), int(matching), bytes.fromhex("".join(data)))
        except ValueError:
            return None
        is_usable = read.usage in _USAGES and read.selector in _SELECTORS and read.matching in _MATCHING and read.data
        return read if is_usable else None

    def matches(self, path: Sequence[x509.Certificate]) -> bool:
        """Tell whether the leaf, or a CA of a verified *path*, is what this record names."""
        return any(self._content(found) == self.data for found in (path[:1] if self.usage in _OF_LEAF else path[1:]))

    def _content(self, certificate: x509.Certificate) -> bytes:
        content = (
            certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
            if self.selector
            else certificate.public_bytes(Encoding.DER)
        )
        hashed = _HASHES.get(self.matching)
        return hashed(content).digest() if hashed is not None else content


@dataclass(frozen=True, slots=True)
class TlsaAnswer:
    """What DNS says of *name*: usable *records*, if there are some, and whether that is proved.

    *why* explains it. *until* is the instant at which a signature of a secure answer ends.
    """

    name: str
    status: DaneStatus = DaneStatus.UNKNOWN
    records: tuple[TlsaRecord, ...] = ()
    why: str = ""
    until: datetime | None = None

    @classmethod
    def of(
        cls, name: str, status: DaneStatus, data: Iterable[str], why: str = "", until: datetime | None = None
    ) -> Self:
        """Return an answer with the usable records among *data*, in the text form of zone files."""
        read = (TlsaRecord.read(text) for text in list(data)[:MOST_RECORDS])
        return cls(name, status, tuple(record for record in read if record is not None), why, until)

    @property
    def told(self) -> str:
        """The status with its reason, for an operator."""
        return f"{self.status}: {self.why}" if self.why else str(self.status)

    def asserted(self, at: datetime) -> tuple[TlsaRecord, ...]:
        """Return the records that count in place of a CA at the instant *at*: those of usage 2 and 3 (RFC 7671 4)."""
        if self.status is not DaneStatus.SECURE or self.until is None or at > self.until:
            return ()
        return tuple(record for record in self.records if record.usage in {DANE_TA, DANE_EE})
