"""Stores a MESSAGE for a user who is not registered. The sender gets 202 once the message is on disk, and not before."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final

from sipmesh.routing.events.stored_message import is_deliverable, message_key, stored_octets
from sipmesh.server.proxy.timeout_queue import TimeoutQueue
from sipmesh.server.quotas.principals import answers_for
from sipmesh.sip.text import octets_of
from sipmesh.storage.messages import NewMessage, Storing, store

if TYPE_CHECKING:
    from sipmesh.server.in_force.address_rules import AddressRules
    from sipmesh.server.in_force.in_force import Current
    from sipmesh.sip.message import Request
    from sipmesh.storage.message_queue import MessageQueue, Piece

WRITE_S: Final = 5.0
"""How long a MESSAGE waits for the database."""

Stored = Callable[[Storing], None]


MOST_OF_SENDER: Final = 50
"""Messages of one user, or of one partner with all its users, that wait for the database; more are refused at once."""

MOST_STORES: Final = 4_000
"""Messages that wait for the database. The rest of its queue is for deliveries."""


@dataclass(frozen=True, slots=True)
class WrittenMessage:
    """A MESSAGE as it is stored for each user who gets it. *sender* answers for it; *key* is the same for each copy."""

    octets: bytes
    sender: str
    author: bytes
    key: bytes
    lifetime_s: float


class PendingMessage:
    """A MESSAGE of *sender* for *aor* that waits for the database; *done* gets what has become of it."""

    __slots__ = ("aor", "done", "piece", "sender")

    def __init__(self, aor: str, sender: str, done: Stored) -> None:
        self.aor, self.sender, self.done = aor, sender, done
        self.piece: Piece | None = None


class MessageStoring:
    """Stores messages in the database of *queue*.

    *clock* gives seconds of the loop, *wall* the time in UTC. *rules* say which partner a sender is of.
    """

    def __init__(
        self,
        queue: MessageQueue,
        current: Current,
        clock: Callable[[], float],
        wall: Callable[[], datetime],
        rules: AddressRules,
    ) -> None:
        self._queue, self._current, self._clock, self._wall = queue, current, clock, wall
        self._rules = rules
        self._pending: TimeoutQueue[PendingMessage] = TimeoutQueue(WRITE_S)
        self._waiting_of: Counter[str] = Counter()
        self.counts: Counter[Storing] = Counter()

    def written(self, request: Request, identity: str | None) -> WrittenMessage:
        """Write *request* of the proved sender *identity* once, for all users who get it: it may be large, and they many."""
        user = identity or request.from_.aor
        sender = answers_for(user, self._rules.partner_of)
        author = octets_of(user) if sender != user else b""
        asked_s, longest_s = request.expires, self._current.value.messages.lifetime_s
        lifetime_s = longest_s if asked_s is None else min(asked_s, longest_s)
        octets = stored_octets(request, identity, self._wall())
        return WrittenMessage(octets, sender, author, message_key(request, sender), lifetime_s)

    def store(self, written: WrittenMessage, aor: str, done: Stored) -> None:
        """Store a message for *aor*; *done* gets what has become of it."""
        limits, sender = self._current.value.messages, written.sender
        if not limits.per_user or not is_deliverable(written.octets):
            self._end(done, Storing.USER_FULL)
            return
        account = self._current.value.homes.account_of(aor)
        message = NewMessage(
            aor, octets_of(sender), written.key, written.octets, written.lifetime_s, written.author, account
        )
        if self._waiting_of[sender] >= MOST_OF_SENDER or self._queue.waiting >= MOST_STORES:
            self._end(done, Storing.SENDER_FULL if self._queue.waiting < MOST_STORES else Storing.FAILED)
            return
        self._waiting_of[sender] += 1
        pending = PendingMessage(aor, sender, done)
        self._pending.add(pending, self._clock())
        pending.piece = self._queue.submit(store(message, limits), lambda result: self._stored(pending, result))

    def sweep(self) -> None:
        """Give up what has waited too long for the database."""
        now = self._clock()
        while (pending := self._pending.pop_expired(now)) is not None:
            self._give_up(pending)

    def _stored(self, pending: PendingMessage, result: Storing | None) -> None:
        self._waiting_of[pending.sender] -= 1
        if not self._waiting_of[pending.sender]:
            del self._waiting_of[pending.sender]
        if pending not in self._pending:
            return
        self._pending.discard(pending)
        self._end(pending.done, result or Storing.FAILED)

    def _give_up(self, pending: PendingMessage) -> None:
        if pending.piece is not None:
            pending.piece.withdrawn = True
        self._end(pending.done, Storing.FAILED)

    def _end(self, done: Stored, result: Storing) -> None:
        self.counts[result] += 1
        done(result)
