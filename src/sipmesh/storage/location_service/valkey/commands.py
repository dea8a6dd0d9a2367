"""The commands of one server to the store: the words of each, most of them of a script (`scripts`)."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

from sipmesh.storage.location_service.valkey import scripts
from sipmesh.storage.location_service.valkey.keys import Keys, plain
from sipmesh.storage.location_service.valkey.rows.stored_row import removal_of, value_of

if TYPE_CHECKING:
    from sipmesh.storage.location_service.locations import Write
    from sipmesh.storage.location_service.valkey.rows.seal import Seal
    from sipmesh.storage.location_service.valkey.settings import ValkeySettings

SWEPT_AT_A_TIME: Final = 200
"""Users whose dead rows are removed by one command."""

MOST_FIELDS: Final = 64
"""Rows of one user in the store, with those that do not fit; more of them were not written by servers of the pool."""

MOST_OCTETS: Final = 512 << 10
"""The same in octets: more than `MOST_FIELDS` rows of the longest Contact that a REGISTER may have."""

MOST_PROCESSES: Final = 4_096
"""Entries of the servers of one pool, and leases; more of them were not written by servers of the pool."""

Words = tuple[str | float | bytes, ...]

_JOIN, _WRITE, _END, _RENEW, _SWEEP, _READ, _PURGE, _SERVERS = map(scripts.digest_of, scripts.ALL)


class StoreCommands:
    """The commands of *incarnation* of the process *server*. *run* is the process of the store that we have joined."""

    __slots__ = ("_incarnation", "_index", "_print", "_seal", "_server", "keys", "run")

    def __init__(self, settings: ValkeySettings, seal: Seal, server: str, incarnation: int) -> None:
        self.keys = Keys(settings.organisation, settings.pool, settings.pool_key)
        self.run = ""
        self._seal, self._server, self._incarnation = seal, server, incarnation
        self._index = self.keys.rows_of(server)
        self._print = f"{seal.print} {settings.processes}"  # the end of our entry: our key, and the number of workers

    def join(self, *, complete: bool, ended: str) -> Words:
        """Enter ourselves. *complete*: our rows are in the store. *ended* is the lease of a later process that is gone."""
        keys = self.keys
        return (
            *("EVALSHA", _JOIN, 3, keys.servers, keys.identity, keys.leases, keys.prefix, self._server),
            *(self._incarnation, self.run, int(complete), self._print, secrets.token_hex(16), ended),
        )

    def servers(self) -> Words:
        """Read the entries of all processes of the pool."""
        return ("EVALSHA", _SERVERS, 1, self.keys.servers, MOST_PROCESSES)

    def end(self, server: str, incarnation: int) -> Words:
        """End an incarnation of a process: its rows are ignored from then on."""
        keys = self.keys
        return ("EVALSHA", _END, 2, keys.servers, keys.leases, keys.prefix, server, incarnation)

    def end_own(self) -> Words:
        """End our own incarnation."""
        return self.end(self._server, self._incarnation)

    def read(self, aor: str) -> Words:
        """Read the rows of one user."""
        return ("EVALSHA", _READ, 1, self.keys.bindings(aor), MOST_FIELDS, MOST_OCTETS)

    def purge(self, aor: str, values: Mapping[bytes, bytes]) -> Words:
        """Remove rows of one user, each only if it still has its value."""
        words: list[bytes] = [part for pair in values.items() for part in pair]
        return ("EVALSHA", _PURGE, 1, self.keys.bindings(aor), *words)

    def write(self, write: Write, now: float) -> Words:
        """Make a write; *now* is in epoch seconds, for the removals that it leaves."""
        keys, words = self.keys, list[str | float | bytes]()
        for row in write.drop:
            left = removal_of(row, now, self._seal) if write.unregisters else b""
            words += (plain(row.key.name), plain(row.token), left)
        for row in write.put:
            words += (plain(row.key.name), value_of(row, self._seal), plain(row.call_id), row.cseq, row.token)
        return (
            *("EVALSHA", _WRITE, 3, keys.servers, keys.bindings(write.aor), self._index, self._server),
            *(self._incarnation, self.run, self._print, keys.hidden(write.aor), int(write.restores), len(write.drop)),
            *words,
        )

    def renew(self, processes: Sequence[str]) -> Words:
        """Renew our lease, and read those of *processes*."""
        keys = self.keys
        ours: Words = (self._server, self._incarnation, self.run, self._print, MOST_PROCESSES)
        return ("EVALSHA", _RENEW, 4, keys.servers, keys.leases, keys.dead, keys.identity, *ours, *processes)

    def sweep(self) -> Words:
        """Remove rows of processes that have ended, of a few users."""
        keys = self.keys
        return ("EVALSHA", _SWEEP, 2, keys.servers, keys.dead, keys.prefix, SWEPT_AT_A_TIME)
