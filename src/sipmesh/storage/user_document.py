"""The users of one pool as they travel to its servers: what proves each of them, and where all others are at home.

The bytes are the payload of what management signs; nothing here looks at a signature. A document tells either everybody
(*since* is 0) or what has changed since an earlier number, and comes in several parts where there are many users.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby
from typing import Any, Final

from sipmesh.errors import OperatorError
from sipmesh.routing.authentication.verifier import Verifier
from sipmesh.sip.digest import Algorithm

FORMAT: Final = 1
MOST_IN_A_PART: Final = 15_000
"""Addresses in one part: a user with two digests takes 190 octets, and with its signature a part stays below 4 MB."""

MOST_PARTS: Final = 1_000
_KEYS: Final = {Algorithm.SHA_256: "sha256", Algorithm.MD5: "md5"}
_DIGITS: Final = {Algorithm.SHA_256: 64, Algorithm.MD5: 32}
_HEX: Final = frozenset("0123456789abcdef")


@dataclass(frozen=True, slots=True)
class UserDocument:
    """One part of a document.

    *number* is the version of the users that it leads to, *since* the one that it begins at, 0 for "from nothing".
    *verifiers* are those of the pool's own users and of nobody else, *homes* says in which other pool each address is at
    home, *gone* are addresses that belong to nobody any more. Addresses are ``sip:user@domain``.
    """

    organisation: str
    pool: str
    number: int
    since: int = 0
    part: int = 1
    parts: int = 1
    verifiers: Mapping[str, Verifier] = field(default_factory=dict, repr=False)
    homes: Mapping[str, str] = field(default_factory=dict, repr=False)
    gone: frozenset[str] = frozenset()

    def divided(self, most: int = MOST_IN_A_PART) -> Sequence[UserDocument]:
        """The same in parts of at most *most* addresses each."""
        rows: list[tuple[str, Verifier | str | None]] = [*self.verifiers.items(), *self.homes.items()]
        rows += [(aor, None) for aor in sorted(self.gone)]
        cut = [rows[begin : begin + most] for begin in range(0, max(len(rows), 1), most)]
        return [self._document(rows, n, len(cut)) for n, rows in enumerate(cut, 1)]

    def _document(self, rows: Iterable[tuple[str, Verifier | str | None]], part: int, parts: int) -> UserDocument:
        held = dict(rows)
        return replace(
            self,
            part=part,
            parts=parts,
            verifiers={aor: one for aor, one in held.items() if isinstance(one, Verifier)},
            homes={aor: one for aor, one in held.items() if isinstance(one, str)},
            gone=frozenset(aor for aor, one in held.items() if one is None),
        )

    def encode(self) -> bytes:
        """Write it as JSON; addresses stand without their scheme, and those at home elsewhere under the name of the pool."""
        told = {
            "format": FORMAT,
            "organisation": self.organisation,
            "pool": self.pool,
            "number": self.number,
            "since": self.since,
            "part": self.part,
            "parts": self.parts,
            "users": [_row(verifier) for verifier in self.verifiers.values()],
            "homes": _by_pool(self.homes),
            "gone": sorted(map(_bare, self.gone)),
        }
        return json.dumps(told, separators=(",", ":")).encode()

    @classmethod
    def decode(cls, document: bytes) -> UserDocument:
        """Read one; raises `OperatorError` where it is not of this format. Takes half a second for 100,000 users."""
        try:
            return cls._read(json.loads(document))
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as wrong:
            reason = f"{type(wrong).__name__}: {wrong}"
            raise OperatorError(
                f"the user document cannot be read: {reason}; another release of sipmesh made it"
            ) from None

    @classmethod
    def _read(cls, told: Mapping[str, Any]) -> UserDocument:
        if told["format"] != FORMAT:
            raise ValueError(f"format {told['format']!r}")
        verifiers = [_verifier(row) for row in told["users"]]
        read = cls(
            organisation=_text(told["organisation"]),
            pool=_text(told["pool"]),
            number=_count(told["number"], 1),
            since=_count(told["since"], 0),
            part=_count(told["part"], 1),
            parts=_count(told["parts"], 1),
            verifiers={one.aor: one for one in verifiers},
            homes={_full(bare): _text(pool) for pool, held in told["homes"].items() for bare in held},
            gone=frozenset(map(_full, told["gone"])),
        )
        if not read.since < read.number or not read.part <= read.parts <= MOST_PARTS:
            raise ValueError("its numbers do not fit together")
        return read


def _by_pool(homes: Mapping[str, str]) -> dict[str, list[str]]:
    ordered = sorted(homes.items(), key=lambda one: (one[1], one[0]))
    return {pool: [_bare(aor) for aor, _ in held] for pool, held in groupby(ordered, key=lambda one: one[1])}


def _row(verifier: Verifier) -> dict[str, str | int]:
    hashes = {_KEYS[algorithm]: ha1 for algorithm, ha1 in verifier.ha1.items()}
    return {"aor": _bare(verifier.aor), "generation": verifier.generation, **hashes}


def _verifier(row: Mapping[str, Any]) -> Verifier:
    return Verifier(_full(row["aor"]), _count(row["generation"], 0), dict(_hashes(row)))


def _hashes(row: Mapping[str, Any]) -> Iterator[tuple[Algorithm, str]]:
    """The hashes of a user, strongest first; an empty row would be a user whom nothing proves, and so is an error."""
    if row.keys().isdisjoint(_KEYS.values()):
        raise ValueError("a user without a digest")
    for algorithm, key in _KEYS.items():
        if key in row:
            ha1 = _text(row[key])
            if len(ha1) != _DIGITS[algorithm] or not _HEX.issuperset(ha1):
                raise ValueError(f"{key} is not a hash")
            yield algorithm, ha1


def _bare(aor: str) -> str:
    return aor.removeprefix("sip:")


def _full(bare: object) -> str:
    return f"sip:{_text(bare)}"


def _text(given: object) -> str:
    if not isinstance(given, str) or not given:
        raise TypeError(f"{given!r} is not a text")
    return given


def _count(given: object, least: int) -> int:
    if not isinstance(given, int) or isinstance(given, bool) or given < least:
        raise TypeError(f"{given!r} is not a number from {least}")
    return given
