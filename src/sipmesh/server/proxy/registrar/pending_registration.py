"""A REGISTER that waits for the store, and the change of a user's rows that is being stored."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sipmesh.routing.registrar.binding import BindingKey
    from sipmesh.server.proxy.flow import ProxiedRequest
    from sipmesh.storage.location_service.locations import Write


class PendingRegistration:
    """A REGISTER of *aor* that waits for the store; *write* is what is being stored for it.

    *counts*: it has not been answered yet, and counts for its user.
    """

    __slots__ = ("aor", "counts", "proxied", "write")

    def __init__(self, proxied: ProxiedRequest, aor: str) -> None:
        self.proxied, self.aor = proxied, aor
        self.write: Write | None = None
        self.counts = True

    @property
    def is_awaited(self) -> bool:
        """Whether a request still waits for the answer."""
        return self.proxied.flow.served.get(self.proxied.key) is self.proxied


class RunningChange:
    """A change of a user's rows that is being stored: *keys* are its rows, *next_ones* what waits until it is stored."""

    __slots__ = ("keys", "next_ones")

    def __init__(self, keys: frozenset[BindingKey]) -> None:
        self.keys = keys
        self.next_ones: list[PendingRegistration] = []
