"""The interface of every store of bindings."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from sipmesh.routing.registrar.binding import Binding, Changes


class Locations(Protocol):
    """The bindings of one pool, shared by its servers.

    A binding belongs to a server, to one incarnation of the server, and to a flow. It is live until it expires, its flow closes,
    or its server starts a new incarnation. Every method sees what all servers have written before. Times are epoch seconds (UTC).
    """

    def begin(self, server: str, incarnation: int) -> int:
        """Start *incarnation* of *server*: bindings of earlier incarnations are dropped; returns their number."""

    def of(self, aor: str, at: float) -> list[Binding]:
        """Return the live bindings of one address of record: highest q first, and for equal q the latest expiry first."""

    @property
    def identity(self) -> str:
        """A random name of the store in hex, the same for all servers that share it; empty if there is no store."""

    def on_server(self, server: str, at: float, most: int, after: tuple[str, str] = ("", "")) -> list[Binding]:
        """Return at most *most* live bindings of one server, ordered by key, that come after the key *after*."""

    def count(self, server: str) -> int:
        """Count the bindings of one server; those that have expired since the last `expire` are included."""

    def apply(self, changes: Changes) -> None:
        """Store the changes of a registration, all or none."""

    def drop(self, server: str, incarnation: int, flow: int) -> list[str]:
        """Drop the bindings of a closed flow; returns their addresses of record."""

    def forget(self, stale: Iterable[Binding]) -> None:
        """Drop bindings whose flow does not exist any more, unless the device has registered again meanwhile."""

    def expire(self, at: float) -> int:
        """Drop the expired bindings; returns their number."""

    def close(self) -> None:
        """Close the store; the bindings stay."""
