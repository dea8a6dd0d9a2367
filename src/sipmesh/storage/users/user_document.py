"""The users of one pool as they are sent to its servers: password verifiers, and the home pools of all other users.

The octets are the payload that management signs; this module checks no signature. A document contains either all users (*since*
is 0) or the changes since an earlier number. A large document comes in several parts.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby
from typing import Any, Final

from sipmesh.errors import OperatorError
from sipmesh.foreign_errors import reason_of
from sipmesh.routing.authentication.digest_sets import is_names_key
from sipmesh.routing.authentication.verifier import NO_LOGOUTS, DevicePassword, Verifier
from sipmesh.routing.call_rules.call_rules import CallRules, rules_from
from sipmesh.routing.events.watcher_rules import WatcherRules
from sipmesh.sip.digest import Algorithm
from sipmesh.strict_json import read_json
from sipmesh.topology.document.watching import Watching

FORMAT: Final = 1
MOST_IN_A_PART: Final = 4_000
"""Addresses, aliases, rules and devices in one part: a user or a device with two digests takes 220 octets, so a signed
part stays near 1 MB.

The JSON of a part is read in one call, which no other thread interrupts: about 5 ms.
"""

MOST_OCTETS: Final = 1_000_000
"""Of addresses, aliases, watchers and pools in one part; a server accepts 5 MB of a signed part in all."""

MOST_PARTS: Final = 10_000
"""Of one document: 40 million users."""

_KEYS: Final = {Algorithm.SHA_256: "sha256", Algorithm.MD5: "md5"}
_DIGITS: Final = {Algorithm.SHA_256: 64, Algorithm.MD5: 32}
_HEX: Final = frozenset("0123456789abcdef")


_Entry = tuple[str, "Verifier | str | None"]
"""An address with what it has: the verifier of a user of this pool, another home pool, or None if the user is gone."""


@dataclass(frozen=True, slots=True)
class UserDocument:
    """One part of a document.

    *number* is the version of the users that it leads to; *since* is the version that it starts from, 0 for "from nothing".
    *verifiers* are only those of the pool's own users. *homes* has the home pool of each other address. *backups* has the
    verifiers of those among them whose home pool has this pool as its backup pool. *gone* are addresses that do not exist any
    more. *aliases* has the aliases of each address that has any: no other address of the document has one. *algorithms* are
    those of addresses of *homes* that do not have the `USUAL` algorithms, and *names_key* is the key of the
    organisation for unknown names (`DigestSets`), "" if there is none. *watchers* has the rules about the presence of
    each user with a verifier that has any, and *calls* the rules of the calls of these users, and
    `CallRules.for_all_pools` of all others. Addresses are ``sip:user@domain``.
    """

    organisation: str
    pool: str
    number: int
    since: int = 0
    part: int = 1
    parts: int = 1
    verifiers: Mapping[str, Verifier] = field(default_factory=dict, repr=False)
    homes: Mapping[str, str] = field(default_factory=dict, repr=False)
    backups: Mapping[str, Verifier] = field(default_factory=dict, repr=False)
    gone: frozenset[str] = frozenset()
    aliases: Mapping[str, Sequence[str]] = field(default_factory=dict, repr=False)
    watchers: Mapping[str, WatcherRules] = field(default_factory=dict, repr=False)
    calls: Mapping[str, CallRules] = field(default_factory=dict, repr=False)
    algorithms: Mapping[str, tuple[Algorithm, ...]] = field(default_factory=dict, repr=False)
    names_key: str = field(default="", repr=False)

    @property
    def size(self) -> int:
        """How many addresses the document contains."""
        return len(self.verifiers) + len(self.homes) + len(self.gone)

    @property
    def changed(self) -> frozenset[str]:
        """Every address that the document contains."""
        return frozenset((*self.verifiers, *self.homes, *self.gone))

    def divided(self, most: int = MOST_IN_A_PART) -> Sequence[UserDocument]:
        """Return the same document in parts of at most *most* addresses, aliases, rules and devices each.

        A user with more of them is a part alone. With very long names a part has fewer.
        """
        rows: list[_Entry] = [*self.verifiers.items(), *self.homes.items()]
        rows += [(aor, None) for aor in sorted(self.gone)]
        cut = list(self._cut(rows, most))
        return [self._document(rows, n, len(cut)) for n, rows in enumerate(cut, 1)]

    def _cut(self, rows: Iterable[_Entry], most: int) -> Iterator[list[_Entry]]:
        part: list[_Entry] = []
        size = octets = 0
        for row in rows:
            names = (*self.aliases.get(row[0], ()), *self.watchers.get(row[0], ()), *self._names_in_rules(row[0]))
            needs = 1 + len(names) + (row[0] in self.algorithms) + self._devices(row)
            pool = row[1] if isinstance(row[1], str) else ""
            length = sum(map(octets_in_json, (row[0], pool, *names))) * (2 if row[0] in self.algorithms else 1)
            if part and (size + needs > most or octets + length > MOST_OCTETS):
                yield part
                part, size, octets = [], 0, 0
            part.append(row)
            size += needs
            octets += length
        yield part

    def _names_in_rules(self, aor: str) -> Sequence[str]:
        rules = self.calls.get(aor)
        return rules.names if rules is not None else ()

    def _devices(self, row: _Entry) -> int:
        """Return how many passwords of devices, and logouts, an entry needs."""
        verifier = row[1] if isinstance(row[1], Verifier) else self.backups.get(row[0])
        return len(verifier.devices) + len(verifier.logouts) if verifier is not None else 0

    def _document(self, rows: Iterable[_Entry], part: int, parts: int) -> UserDocument:
        values = dict(rows)
        return replace(
            self,
            part=part,
            parts=parts,
            verifiers={aor: value for aor, value in values.items() if isinstance(value, Verifier)},
            homes={aor: value for aor, value in values.items() if isinstance(value, str)},
            gone=frozenset(aor for aor, value in values.items() if value is None),
            backups={aor: self.backups[aor] for aor in values if aor in self.backups},
            aliases={aor: self.aliases[aor] for aor in values if aor in self.aliases},
            watchers={aor: self.watchers[aor] for aor in values if aor in self.watchers},
            calls={aor: self.calls[aor] for aor in values if aor in self.calls},
            algorithms={aor: self.algorithms[aor] for aor in values if aor in self.algorithms},
        )

    def encode(self) -> bytes:
        """Return the part as JSON; addresses have no scheme, and those of other pools are listed under their pool."""
        document = {
            "format": FORMAT,
            "organisation": self.organisation,
            "pool": self.pool,
            "number": self.number,
            "since": self.since,
            "part": self.part,
            "parts": self.parts,
            "users": [_row(verifier) for verifier in self.verifiers.values()],
            "homes": _by_pool(self.homes),
            "backups": [_row(verifier) for verifier in self.backups.values()],
            "gone": sorted(map(_bare, self.gone)),
            "aliases": {_bare(aor): list(keys) for aor, keys in self.aliases.items()},
            "watchers": {_bare(aor): dict(rules) for aor, rules in self.watchers.items()},
            "calls": {_bare(aor): rules.as_json() for aor, rules in self.calls.items()},
            "algorithms": {_bare(aor): [_KEYS[one] for one in found] for aor, found in self.algorithms.items()},
            "names_key": self.names_key,
        }
        return json.dumps(document, separators=(",", ":")).encode()

    @classmethod
    def decode(cls, document: bytes) -> UserDocument:
        """Read a part; raises `OperatorError` if it does not have this format. Takes half a second for 100,000 users."""
        try:
            return cls._read(read_json(document))
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as wrong:
            what = f"{wrong} is missing" if isinstance(wrong, KeyError) else reason_of(wrong)
            raise OperatorError(
                f"the user document cannot be read: {what}; if another release of sipmesh has made it, upgrade this server"
            ) from None

    @classmethod
    def _read(cls, document: Mapping[str, Any]) -> UserDocument:
        if document["format"] != FORMAT:
            raise ValueError(f"format {document['format']!r}")
        verifiers = [_verifier(row) for row in document["users"]]
        backups = [
            _verifier(row) for row in document.get("backups", ())
        ]  # a release without backup pools has no such member
        read = cls(
            organisation=_text(document["organisation"]),
            pool=_text(document["pool"]),
            number=_count(document["number"], 1),
            since=_count(document["since"], 0),
            part=_count(document["part"], 1),
            parts=_count(document["parts"], 1),
            verifiers={verifier.aor: verifier for verifier in verifiers},
            homes={
                _full(bare): _text(pool)
                for pool, bare_addresses in document["homes"].items()
                for bare in bare_addresses
            },
            backups={verifier.aor: verifier for verifier in backups},
            gone=frozenset(map(_full, document["gone"])),
            aliases=_aliases(document.get("aliases", {})),  # a release without aliases has no such member
            watchers=_watchers(document.get("watchers", {})),  # nor has one without these rules
            calls={_full(bare): rules_from(rules) for bare, rules in document.get("calls", {}).items()},
            algorithms=_algorithms(document.get("algorithms", {})),  # nor a change without a key for unknown names
            names_key=_names_key(document.get("names_key", "")),
        )
        if not read.since < read.number or not read.part <= read.parts <= MOST_PARTS:
            raise ValueError("its numbers do not fit together")
        if not read.backups.keys() <= read.homes.keys():
            raise ValueError("a user of a backup pool without a home pool")
        return read


def octets_in_json(text: str) -> int:
    """Return how many octets of a document a text takes at most: a character that JSON escapes takes up to twelve."""
    return len(text) if text.isascii() and text.isprintable() else 12 * len(text)


def why_unreadable(verifier: Verifier, pool: str | None) -> str:
    """Tell why no server could read a user of the home *pool* in a document; "" if it could. *pool* None: none is set yet."""
    try:
        read = _verifier(_row(verifier))
        if pool is not None:
            _text(pool)
    except (ValueError, TypeError, AttributeError) as wrong:
        return str(wrong)
    return "" if read.aor == verifier.aor else f"{verifier.aor!r} is not the address of a user"


def _by_pool(homes: Mapping[str, str]) -> dict[str, list[str]]:
    ordered = sorted(homes.items(), key=lambda item: (item[1], item[0]))
    return {pool: [_bare(aor) for aor, _ in group] for pool, group in groupby(ordered, key=lambda item: item[1])}


def _aliases(given: Mapping[str, Sequence[str]]) -> dict[str, Sequence[str]]:
    return {_full(bare): tuple(map(_text, keys)) for bare, keys in given.items()}


def _watchers(given: Mapping[str, Mapping[str, str]]) -> dict[str, WatcherRules]:
    """Read the rules. A rule of a later release that we do not know blocks."""
    known = {str(rule): rule for rule in Watching}
    return {
        _full(bare): {_text(watcher): known.get(_text(rule), Watching.BLOCK) for watcher, rule in rules.items()}
        for bare, rules in given.items()
    }


def _algorithms(given: Mapping[str, Sequence[str]]) -> dict[str, tuple[Algorithm, ...]]:
    return {_full(bare): tuple([one for one, key in _KEYS.items() if key in names]) for bare, names in given.items()}


def _names_key(given: object) -> str:
    if given != "" and not is_names_key(given):
        raise ValueError("names_key is no key")
    return str(given)


def _row(verifier: Verifier) -> dict[str, Any]:
    devices = {
        name: {"generation": device.generation, **_by_key(device.ha1)} for name, device in verifier.devices.items()
    }
    return {
        "aor": _bare(verifier.aor),
        "generation": verifier.generation,
        "created": verifier.created,
        **_by_key(verifier.ha1),
        **({"devices": devices} if devices else {}),
        **({"disabled": True} if verifier.is_disabled else {}),
        **({"logouts": dict(verifier.logouts)} if verifier.logouts else {}),
        **({"classes": list(verifier.classes)} if verifier.classes else {}),
    }


def _by_key(hashes: Mapping[Algorithm, str]) -> dict[str, str]:
    return {_KEYS[algorithm]: ha1 for algorithm, ha1 in hashes.items()}


def _verifier(row: Mapping[str, Any]) -> Verifier:
    created = _count(row.get("created", 0), 0)  # an earlier release has no such member
    devices = {_text(name): _device(device) for name, device in row.get("devices", {}).items()}
    is_disabled = row.get("disabled", False) is not False  # a release without access tokens has no such member
    logouts = {str(session): _count(at, 0) for session, at in row.get("logouts", {}).items()}  # nor this one
    classes = tuple(map(_text, row.get("classes", ())))  # a release without classes by groups has no such member
    generation, hashes = _count(row["generation"], 0), dict(_hashes(row))
    about = devices, is_disabled, logouts or NO_LOGOUTS, classes
    return Verifier(_full(row["aor"]), generation, hashes, created, *about)


def _device(row: Mapping[str, Any]) -> DevicePassword:
    return DevicePassword(_count(row["generation"], 0), dict(_hashes(row)))


def _hashes(row: Mapping[str, Any]) -> Iterator[tuple[Algorithm, str]]:
    """Return the hashes of a user, strongest first; a user without a hash could never log in, and so is an error."""
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
