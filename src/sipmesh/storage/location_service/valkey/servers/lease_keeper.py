"""Renews our lease in the store, ends the leases of servers that have stopped renewing theirs, and sweeps their rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Sized
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Final

from sipmesh.storage.location_service.lease_watch import RENEW_EVERY_S, LeaseWatch
from sipmesh.storage.location_service.valkey.replies import ignored

if TYPE_CHECKING:
    from sipmesh.storage.location_service.valkey.commands import StoreCommands
    from sipmesh.storage.location_service.valkey.connection import Reply
    from sipmesh.storage.location_service.valkey.servers.server_watch import ServerWatch
    from sipmesh.storage.location_service.valkey.session import StoreSession

MOST_SWEEPS: Final = 50
"""Commands that remove dead rows, between two renewals of the lease."""


class LeaseKeeper:
    """Keeps the lease of the process *server*. *waiting* are its writes: the store works once they are made."""

    def __init__(
        self, session: StoreSession, commands: StoreCommands, servers: ServerWatch, server: str, waiting: Sized
    ) -> None:
        self._session, self._commands, self._servers, self._waiting = session, commands, servers, waiting
        self.watch = LeaseWatch(server)
        self._renew_at, self._sweeps = 0.0, 0

    def joined(self) -> None:
        """Renew the lease with the next `tick`."""
        self._renew_at = 0.0

    def tick(self, now: float) -> None:
        """Renew the lease if it is due at *now*, in seconds of the loop; what is read for it is not followed."""
        if now < self._renew_at:
            return
        self._renew_at = now + RENEW_EVERY_S
        names = tuple(self._servers.table.incarnations())
        renew = (self._commands.renew(names), partial(self._renewed, names))
        self._session.send([(("CLIENT", "CACHING", "NO"), ignored), renew])

    def _renewed(self, names: Sequence[str], reply: Reply) -> None:
        match reply:
            case [int(known), int(dead), bytes(identity), list(leases)]:
                if not known or identity.partition(b" ")[0] != self._session.identity.encode():
                    self._session.abort("another server has ended our lease")
                self._end(dict(zip(names, leases, strict=False)))
                self._sweeps = MOST_SWEEPS if dead else 0
                self._sweep(1)
                if not self._waiting:
                    self._session.worked()
            case ConnectionError():
                return
            case Exception():
                self._session.failed(str(reply))

    def _end(self, counts: Mapping[str, Reply]) -> None:
        """End the servers that have stopped renewing their leases."""
        leases = {}
        for server, incarnation in self._servers.table.incarnations().items():
            with suppress(ValueError, TypeError):
                leases[server] = incarnation, int(counts.get(server, b"") or b"0")
        ended = self.watch.renewed(leases)
        if ended:
            self._session.send([(self._commands.end(server, incarnation), ignored) for server, incarnation in ended])
            self._session.send([(self._commands.servers(), self._servers.was_read)])

    def _sweep(self, reply: Reply) -> None:
        """Remove rows of servers that have ended, a few users at a time."""
        if reply == 1 and self._sweeps:
            self._sweeps -= 1
            self._session.send([(self._commands.sweep(), self._sweep)])
