"""The servers of a pool as the store knows them: which of them have all their rows in it.

After the store was lost, or another node took over, each server stores its rows again. Until a server has done so, a user
without a row may be registered there: that such a user is not registered cannot be said.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final, NamedTuple

REJOINED_WITHIN_S: Final = 30.0
"""How long a server may take to store its rows again; after that it counts as gone, as with its lease (`lease_watch`)."""

_ENTRY = re.compile(rb"([0-9]{1,16}) ([0-9a-f]{40}) ([01])")


class KnownServer(NamedTuple):
    """One server in the store: *run* is the process of the store that it has joined, *complete* says that its rows are there."""

    incarnation: int
    run: str
    complete: bool


class ServerTable:
    """What the store says of *servers*, as seen by *server*; the times are seconds of the loop."""

    __slots__ = ("_known", "_missing_until", "_others", "_run", "_waits_until")

    def __init__(self, server: str, servers: frozenset[str]) -> None:
        self._others = servers - {server}
        self._known: dict[str, KnownServer] = {}
        self._run, self._waits_until, self._missing_until = "", 0.0, 0.0

    def __repr__(self) -> str:
        return f"<ServerTable {len(self._known)} servers>"

    def joined(self, run: str, age_s: float, now: float) -> None:
        """Begin anew with the process *run* of a store that has existed for *age_s*: others may have to store their rows."""
        self._run = run
        self._waits_until = now + REJOINED_WITHIN_S
        self._missing_until = now + REJOINED_WITHIN_S - max(0.0, age_s)

    def replace(self, entries: Mapping[bytes, bytes]) -> None:
        """Take what the store has now; an entry that does not fit counts as missing, and only names of the pool are read."""
        found = {}
        for name in self._others:
            entry = read_entry(entries.get(name.encode()))
            if entry is not None:
                found[name] = entry
        self._known = found

    def is_live(self, server: str, incarnation: int) -> bool:
        """Tell whether rows of this incarnation of another server count."""
        known = self._known.get(server)
        return known is not None and known.incarnation == incarnation

    def incarnations(self) -> Mapping[str, int]:
        """Give the incarnation of each other server."""
        return {name: known.incarnation for name, known in self._known.items()}

    def is_complete(self, now: float) -> bool:
        """Tell whether every other server that could have rows has them in the store."""
        return all(self._has_its_rows(name, now) for name in self._others)

    def _has_its_rows(self, name: str, now: float) -> bool:
        known = self._known.get(name)
        if known is None:
            return now >= self._missing_until
        return (known.complete and known.run == self._run) or now >= self._waits_until


def read_entry(entry: object) -> KnownServer | None:
    """Read the entry of one server; None if it does not fit."""
    found = _ENTRY.fullmatch(entry) if isinstance(entry, bytes) else None
    return KnownServer(int(found[1]), found[2].decode(), found[3] == b"1") if found is not None else None
