"""What a server knows of a user in order to check a password: hashes, never the password."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from sipmesh.sip.digest import Algorithm


def user_of(aor: str) -> str:
    """Give the user name that digest uses for an address of record: the part before the ``@``."""
    return aor.removeprefix("sip:").partition("@")[0]


@dataclass(frozen=True, slots=True)
class Verifier:
    """One user: the H(A1) of its password by algorithm (RFC 7616 section 3.4.2), strongest first.

    *generation* rises with every change of the password; a link that was proved under an earlier one proves nothing more.
    """

    aor: str
    generation: int
    ha1: Mapping[Algorithm, str] = field(repr=False)
