"""Which home pools and digest algorithms the users have, so that the challenge to an unknown name is like that to some user."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from hashlib import blake2s
from typing import Final

from sipmesh.sip.digest import Algorithm
from sipmesh.sip.text import octets_of

Kind = tuple[str, tuple[Algorithm, ...]]
"""How the challenge to a user looks: the home pool, which sends it ("" for the default one), and its algorithms."""

_HEX: Final = frozenset("0123456789abcdef")
_DIGITS: Final = 64
_HASH_BYTES: Final = 8
_HASH_OF_NOBODY: Final = {Algorithm.SHA_256: "0" * 64, Algorithm.MD5: "0" * 32}

NOBODY: Final[Mapping[Algorithm, str]] = _HASH_OF_NOBODY
"""Our default algorithms, strongest first, with hashes that no known password has."""


USUAL: Final = tuple(NOBODY)
"""The algorithms of a user about whose algorithms a document says nothing."""

KIND_OF_NOBODY: Final[Kind] = ("", USUAL)
"""Where there are no users."""


def is_names_key(given: object) -> bool:
    """Tell whether *given* is a key of the organisation for unknown names, in hexadecimal."""
    return isinstance(given, str) and len(given) == _DIGITS and _HEX.issuperset(given)


def name_hash(key: str, aor: str) -> bytes:
    """Hash a name with the *key* of the organisation, in hexadecimal: the same at each front end, and not guessed by others."""
    return blake2s(octets_of(aor), key=bytes.fromhex(key), digest_size=_HASH_BYTES).digest()


def of_nobody(algorithms: Iterable[Algorithm]) -> Mapping[Algorithm, str]:
    """Give these algorithms with hashes that no known password has."""
    return {algorithm: _HASH_OF_NOBODY[algorithm] for algorithm in algorithms}


class DigestSets:
    """How many users of the organisation are at home in each pool with each set of algorithms.

    An unknown name gets each pair as often as users have it. A pair that no user has would tell that a name is unknown.
    """

    __slots__ = ("_counts",)

    def __init__(self, counts: Mapping[Kind, int] | None = None) -> None:
        self._counts = dict(counts or {})

    def copy(self) -> DigestSets:
        """Give a copy, which changes alone."""
        return DigestSets(self._counts)

    def change(self, before: Kind | None, after: Kind | None) -> None:
        """Count a user who was of the kind *before*, and is of the kind *after* now; None for no user."""
        for kind, by in ((before, -1), (after, 1)):
            if kind is not None:
                self._counts[kind] = self._counts.get(kind, 0) + by

    def alike(self, hashed: bytes) -> Kind:
        """Give the kind of the unknown name with this keyed hash: always the same, as long as the users do not change."""
        counts = sorted(pair for pair in list(self._counts.items()) if pair[1] > 0)  # a copy: a thread may change it
        drawn = int.from_bytes(hashed) * sum([count for _, count in counts]) >> 8 * len(hashed)
        for kind, count in counts:
            drawn -= count
            if drawn < 0:
                return kind
        return KIND_OF_NOBODY
