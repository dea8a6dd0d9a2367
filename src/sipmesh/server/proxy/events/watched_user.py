"""What a notifier keeps of one user who has subscriptions."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sipmesh.routing.registrar.binding import Binding
    from sipmesh.server.proxy.events.subscription import EventSubscription

Seen = tuple[tuple[str, str], ...]
"""What is known of the bindings of a user: the name and the token of each."""


class WatchedUser:
    """One user with subscriptions. *rows* are the bindings of the last NOTIFY, *waiting* is how many messages are stored."""

    __slots__ = ("rows", "seen", "subscriptions", "waiting")

    def __init__(self) -> None:
        self.subscriptions: list[EventSubscription] = []
        self.rows: Sequence[Binding] = ()
        self.seen: Seen | None = None
        self.waiting = 0
