"""The logs of Certificate Transparency that the topology names, and what an authority asks of them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Final

NEEDED: Final = 2
"""Operators that must have logged a certificate: one of them may be in league with the CA."""


class CtMode(StrEnum):
    """What is asked of the certificates of an authority: nothing, a finding that refuses no peer, or SCTs that are valid."""

    OFF = "off"
    REPORT = "report"
    REQUIRE = "require"


@dataclass(frozen=True, slots=True)
class CtLog:
    """One log: the *key* with which it signs, as SubjectPublicKeyInfo in DER. SCTs after *until* do not count."""

    operator: str
    key: bytes
    until: datetime | None = None
    id: bytes = field(init=False)  # RFC 6962 3.2: the SHA-256 of the key

    def __post_init__(self) -> None:
        object.__setattr__(self, "id", hashlib.sha256(self.key).digest())


@dataclass(frozen=True, slots=True)
class CtPolicy:
    """What an authority asks: *mode* is not `CtMode.OFF`."""

    mode: CtMode
    logs: tuple[CtLog, ...]
