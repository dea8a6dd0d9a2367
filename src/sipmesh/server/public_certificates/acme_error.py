"""Why a server has no new certificate of a public CA, and what to do."""

from __future__ import annotations

from sipmesh.errors import SipmeshError


class AcmeError(SipmeshError):
    """An order has failed: the text says why. *remedy* says what to do, "" if that follows from the challenge."""

    def __init__(self, why: str, remedy: str = "") -> None:
        super().__init__(why)
        self.remedy = remedy
