"""What every store of bindings offers, whatever it is made of."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from sipmesh.routing.registrar.binding import Binding, Changes


class Locations(Protocol):
    """The bindings of one pool, shared by its servers.

    A row belongs to a server, to an incarnation of it and to a flow. It is live until it expires, its flow closes, or its
    server begins a new incarnation. Every method sees what every server has written before.
    """

    def begin(self, server: str, incarnation: int) -> int:
        """Start *incarnation* of *server*: from now on rows of earlier ones are dead. Returns how many were dropped."""

    def of(self, aor: str, at: float) -> list[Binding]:
        """Give the live rows of one address of record, the highest q first, the newest first among equals."""

    @property
    def identity(self) -> str:
        """A random name of the store, in hex; servers with different ones do not share it. Empty where nothing is kept."""

    def on_server(self, server: str, at: float, most: int, after: tuple[str, str] = ("", "")) -> list[Binding]:
        """Give the live rows of one server in the order of their keys, *most* at most, from behind the key *after* on."""

    def count(self, server: str) -> int:
        """Count the rows of one server: those that have expired since `expire` are among them."""

    def apply(self, changes: Changes) -> None:
        """Carry out a registration's changes, all of them or none."""

    def drop(self, server: str, incarnation: int, flow: int) -> list[str]:
        """Forget a flow that has closed; returns the addresses of record that had a row on it."""

    def forget(self, stale: Iterable[Binding]) -> None:
        """Drop rows whose flow turned out to be gone, unless the device has registered elsewhere meanwhile."""

    def expire(self, at: float) -> int:
        """Drop the rows that have expired; returns how many."""

    def close(self) -> None:
        """Let go of the store; the rows stay."""
