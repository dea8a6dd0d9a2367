"""What processes of one server tell each other of their state, beside links, logins and limits."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sipmesh.server.proxy.siblings.channel import WorkerChannel


class SharedState:
    """A part of the state of a process that the others know; it sends and hears frames of kinds of its own."""

    __slots__ = ()

    def told(self, process: int, kind: int, number: int, payload: bytes) -> None:
        """Another process has sent a frame."""
        raise NotImplementedError

    def joined(self, channel: WorkerChannel) -> None:
        """Tell a process that has just come up what it needs to know; by default, nothing."""

    def process_ended(self, process: int) -> None:
        """Forget what a process has told that is gone; by default, nothing."""
