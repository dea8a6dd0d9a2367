"""Which digest algorithms the users have, so that the challenge to an unknown name looks like that to some user."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Final

from sipmesh.sip.digest import Algorithm

if TYPE_CHECKING:
    from sipmesh.routing.authentication.verifier import Verifier

_HASH_OF_NOBODY: Final = {Algorithm.SHA_256: "0" * 64, Algorithm.MD5: "0" * 32}

NOBODY: Final[Mapping[Algorithm, str]] = _HASH_OF_NOBODY
"""Our default algorithms, strongest first, with hashes that no known password has."""


def of_nobody(algorithms: Iterable[Algorithm]) -> Mapping[Algorithm, str]:
    """Give these algorithms with hashes that no known password has."""
    return {algorithm: _HASH_OF_NOBODY[algorithm] for algorithm in algorithms}


class DigestSets:
    """How many users have each set of algorithms.

    An unknown name gets each set as often as users have it. A set that no user has would tell that a name is nobody's.
    """

    __slots__ = ("_counts",)

    def __init__(self, counts: Mapping[tuple[Algorithm, ...], int] | None = None) -> None:
        self._counts = dict(counts or {})

    def __repr__(self) -> str:
        return f"<DigestSets {self._counts}>"

    def copy(self) -> DigestSets:
        """Give a copy, which changes alone."""
        return DigestSets(self._counts)

    def change(self, before: Verifier | None, after: Verifier | None) -> None:
        """Count a user who had the verifier *before*, and has *after* now; None for no user."""
        for verifier, by in ((before, -1), (after, 1)):
            if verifier is not None:
                algorithms = tuple(verifier.ha1)
                self._counts[algorithms] = self._counts.get(algorithms, 0) + by

    def alike(self, name_hash: bytes) -> Mapping[Algorithm, str]:
        """Give the algorithms for the unknown name with this keyed hash: always the same, as long as the users do not change."""
        counts = sorted((pair for pair in self._counts.items() if pair[1] > 0), key=lambda pair: pair[0])
        drawn = int.from_bytes(name_hash) * sum(count for _, count in counts) >> 8 * len(name_hash)
        for algorithms, count in counts:
            drawn -= count
            if drawn < 0:
                return of_nobody(algorithms)
        return NOBODY
