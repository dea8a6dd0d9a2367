"""The servers of a pool as the store knows them: which of them have all their rows in it.

After the store was lost, or another node took over, each server stores its rows again. Until a server has done so, a user
without a row may be registered there: that such a user is not registered cannot be said.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final, NamedTuple

from sipmesh.routing.registrar.binding import WORKER_MARK, process_name, server_of

REJOINED_WITHIN_S: Final = 30.0
"""How long a server may take to store its rows again; after that it counts as gone, as with its lease (`lease_watch`)."""

_ENTRY = re.compile(rb"([0-9]{1,16}) ([0-9a-f]{40}) ([01]) ([0-9a-f]{8}) ([0-9]{1,2})")
_PROCESS = re.compile(f"[^{WORKER_MARK}]+(?:{WORKER_MARK}[0-9]{{1,2}})?")


class KnownServer(NamedTuple):
    """One process of a server in the store.

    *run* is the process of the store that it has joined, *complete* says that its rows are there. *key* is the print of the key
    with which it seals them. *workers* is the number of workers of its server, 0 without.
    """

    incarnation: int
    run: str
    complete: bool
    key: str
    workers: int


class ServerTable:
    """What the store says of the processes of *servers*, as seen by *process*; the times are seconds of the loop.

    A server without workers is one process, with the name of the server. *workers* is the number of our own, 0 without.
    """

    __slots__ = ("_known", "_missing_until", "_process", "_run", "_servers", "_waits_until", "_workers")

    def __init__(self, process: str, servers: frozenset[str], workers: int = 0) -> None:
        self._process, self._servers, self._workers = process, servers, workers
        self._known: dict[str, KnownServer] = {}
        self._run, self._waits_until, self._missing_until = "", 0.0, 0.0

    def joined(self, run: str, age_s: float, now: float) -> None:
        """Begin again with the process *run* of a store that has existed for *age_s*: others may have to store their rows."""
        self._run = run
        self._waits_until = now + REJOINED_WITHIN_S
        self._missing_until = now + REJOINED_WITHIN_S - max(0.0, age_s)

    def replace(self, entries: Mapping[bytes, bytes]) -> None:
        """Take what the store has now; an entry that does not fit counts as missing, and only names of the pool are read."""
        found = {}
        for octets, entry in entries.items():
            name, known = octets.decode("ascii", "replace"), read_entry(entry)
            if known is not None and self._is_of_pool(name):
                found[name] = known
        self._known = found

    def use_servers(self, servers: frozenset[str]) -> None:
        """Know which servers the pool has: the entries of others are ignored, and those of new servers have to be read."""
        self._servers = servers
        self._known = {name: known for name, known in self._known.items() if self._is_of_pool(name)}

    def _is_of_pool(self, name: str) -> bool:
        is_other = name != self._process and _PROCESS.fullmatch(name) is not None
        return is_other and server_of(name) in self._servers

    def is_live(self, process: str, incarnation: int) -> bool:
        """Tell whether rows of this incarnation of another process count."""
        known = self._known.get(process)
        return known is not None and known.incarnation == incarnation

    def incarnations(self) -> Mapping[str, int]:
        """Give the incarnation of each other process."""
        return {name: known.incarnation for name, known in self._known.items()}

    def other_keys(self, key: str) -> list[str]:
        """Give the processes that seal their rows with another key than that with the print *key*."""
        return sorted(name for name, known in self._known.items() if known.key != key)

    def is_complete(self, now: float, key: str) -> bool:
        """Tell whether every other process that could have rows has them in the store, sealed with *key*."""
        if self.other_keys(key):
            return False
        if now < self._waits_until and not all(
            known.complete and known.run == self._run for known in self._known.values()
        ):
            return False
        return now >= self._missing_until or self._expected() <= self._known.keys()

    def _expected(self) -> set[str]:
        """Name the other processes that there should be: as many of each server as its processes say."""
        workers = {server_of(self._process): self._workers}
        for name, known in self._known.items():
            server = server_of(name)
            workers[server] = max(known.workers, workers.get(server, 0))
        expected: set[str] = set()
        for server in self._servers:
            count = workers.get(server, 0)
            expected |= {process_name(server, number) for number in range(1, count + 1)} if count else {server}
        return expected - {self._process}


def read_entry(entry: object) -> KnownServer | None:
    """Read the entry of one process; None if it does not fit."""
    found = _ENTRY.fullmatch(entry) if isinstance(entry, bytes) else None
    if found is None:
        return None
    incarnation, run, complete, key, workers = (part.decode() for part in found.groups())
    return KnownServer(int(incarnation), run, complete == "1", key, int(workers))
