"""How a trunk logs in that has no certificate: its account at this gateway, and the digest algorithms that it is offered."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from sipmesh.sip.digest import Algorithm

OFFERED: Final = {
    Algorithm.SHA_256: (Algorithm.SHA_256,),
    Algorithm.MD5: (Algorithm.SHA_256, Algorithm.MD5),
}
"""What is offered by the weakest algorithm that is allowed, the strongest first (RFC 8760 section 2.4)."""


@dataclass(frozen=True, slots=True)
class TrunkChallenge:
    """The account of a trunk, ``sip:user@realm``. *file* has its password; *weakest* is the weakest algorithm that counts."""

    user: str
    realm: str
    file: str
    weakest: Algorithm = Algorithm.SHA_256

    @property
    def aor(self) -> str:
        """The address of record by which the digest is checked."""
        return f"sip:{self.user}@{self.realm}"

    @property
    def algorithms(self) -> tuple[Algorithm, ...]:
        """What the trunk is offered."""
        return OFFERED[self.weakest]
