"""The data with which a server checks a user's password: hashes, never the password itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from sipmesh.sip.digest import Algorithm


def user_of(aor: str) -> str:
    """Give the digest user name of an address of record: the part before the ``@``."""
    return aor.removeprefix("sip:").partition("@")[0]


@dataclass(frozen=True, slots=True)
class Verifier:
    """One user. *ha1* maps each algorithm to the H(A1) of the password (RFC 7616 section 3.4.2), strongest first.

    *generation* increases with every change of the password. A link that proved an earlier password is no longer
    authenticated. *created* is when the account was added, in microseconds since 1970; 0 if that is not known. A new account of
    the same name has a later one.
    """

    aor: str
    generation: int
    ha1: Mapping[Algorithm, str] = field(repr=False)
    created: int = 0
