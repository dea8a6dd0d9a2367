"""Delivers stored messages, in their order, once their user has registered.

One server at a time delivers the messages of a user, and it sends the next one after the answer to the message before.
A phone that answers 2xx has the message: it is removed. A server that dies in between, or an answer that is lost, makes
the next server send the message again, with the same Call-ID and CSeq.

A phone that does not answer a message, on a link that is up, holds up the messages of the same sender only: those of other
senders are delivered meanwhile. After a few attempts the message is left where it is, and those behind it are delivered.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from math import inf
from typing import TYPE_CHECKING, Final

from sipmesh.server.proxy.events.delivery import (
    ClaimMessages,
    Delivery,
    DeliveryEnd,
    ExtendLease,
    ReadPhones,
    RemoveMessage,
    SendMessage,
)
from sipmesh.server.proxy.events.unanswered import UnansweredAttempts
from sipmesh.server.proxy.timeout_queue import TimeoutQueue
from sipmesh.storage.messages import claim, extend, release, remove

if TYPE_CHECKING:
    from sipmesh.routing.registrar.binding import Binding
    from sipmesh.server.in_force.in_force import Current
    from sipmesh.server.proxy.events.own_requests import OwnRequests
    from sipmesh.server.proxy.registrar.registrations import Registrations
    from sipmesh.server.quotas.limited_log import LimitedLog
    from sipmesh.storage.message_queue import MessageQueue

MOST_DELIVERIES: Final = 200
"""Users whose messages are delivered at the same time; others wait in their order."""

RETRY_S: Final = 60.0
"""How long a user waits whose phone did not answer."""

LEASE_AGAIN_S: Final = 1.0
"""How long a user waits whose messages another server delivers: that server may have lost the phone meanwhile."""


class MessageDelivery:
    """Delivers what waits in *queue* for the users who register; *server* is this server.

    `Delivery` says what to do for one user. It is carried out here.
    """

    def __init__(
        self,
        server: str,
        queue: MessageQueue,
        registrations: Registrations,
        own_requests: OwnRequests,
        current: Current,
        clock: Callable[[], float],
        log: LimitedLog,
    ) -> None:
        self._server, self._queue, self._registrations = server, queue, registrations
        self._current = current
        self._own_requests, self._clock, self._log = own_requests, clock, log
        self._running: dict[str, Delivery] = {}
        self._next_ones: dict[str, None] = {}
        self._again: set[str] = set()
        self._retries: TimeoutQueue[str] = TimeoutQueue(RETRY_S)
        self._held: TimeoutQueue[str] = TimeoutQueue(LEASE_AGAIN_S)
        self._unremoved: set[int] = set()  # delivered, and still in the database, which could not be written
        self._undelivered: set[str] = set()  # users who have messages, and are tried again soon
        self._refused: set[str] = set()  # users with messages that none of their phones takes
        self._attempts = UnansweredAttempts()
        self._is_closed = False
        self.delivered = 0

    def is_running(self, aor: str) -> bool:
        """Tell whether messages of *aor* are being delivered, or will soon be: a new one then comes after them."""
        running = self._running.get(aor)
        return aor in self._undelivered or (running is not None and running.is_found)

    def start(self, aor: str) -> None:
        """Deliver what waits for *aor*, who is registered."""
        if self._is_closed:
            return
        if aor in self._running:
            self._again.add(aor)
        elif len(self._running) >= MOST_DELIVERIES:
            self._next_ones[aor] = None
        else:
            self._retries.discard(aor)
            self._held.discard(aor)
            self._undelivered.discard(aor)
            self._refused.discard(aor)
            running = self._running[aor] = Delivery(aor, self._attempts, self._unremoved, self._log)
            self._go_on(running, None)

    def registered(self, aor: str) -> None:
        """Deliver to a phone of *aor* that has registered, unless a delivery under way has found it already."""
        running = self._running.get(aor)
        if running is None or not running.has_found(self._registrations.bindings(aor, self._clock())):
            self.start(aor)

    def look(self, aors: Collection[str]) -> None:
        """Deliver to those of *aors* who are registered here: the server that stored their messages may have stopped.

        *aors* are all users with messages. What their phones have refused waits for another registration.
        """
        self._refused.intersection_update(aors)
        for aor in aors:
            is_tried = aor in self._running or aor in self._retries or aor in self._refused
            if not is_tried and self._registrations.is_here(aor):
                self.start(aor)

    def sweep(self, *, at_once: bool = False) -> None:
        """Start again what was put off; *at_once*: phones that could not be reached may be reached again."""
        now = self._clock()
        for due, until in ((self._retries, inf if at_once else now), (self._held, now)):
            while (aor := due.pop_expired(until)) is not None:
                self.start(aor)

    def close(self) -> None:
        """Leave what is not delivered to other servers."""
        self._is_closed = True
        for aor, running in self._running.items():
            running.is_closed = True
            self._queue.submit(release(aor, self._server))

    def _go_on(self, running: Delivery, answer: object) -> None:
        """Carry out what follows from *answer*, with one place for each effect."""
        aor, effect = running.aor, running.go_on(answer, self._clock())
        while isinstance(effect, RemoveMessage):
            self.delivered += effect.is_delivered
            self._remove(running, effect.number)
            effect = running.go_on(None, self._clock())

        def answered(given: object) -> None:
            self._go_on(running, given)

        if isinstance(effect, DeliveryEnd):
            self._end(running, effect)
        elif isinstance(effect, SendMessage):
            self._own_requests.send_to(effect.row, effect.request, effect.identity, answered)
        elif isinstance(effect, ReadPhones):
            self._registrations.look_up(aor, lambda rows: self._found(running, rows))
        elif isinstance(effect, ClaimMessages):
            account = self._current.value.homes.account_of(aor)  # an earlier user of this name had other messages
            self._queue.submit(claim(aor, self._server, effect.after, account), answered)
        elif isinstance(effect, ExtendLease):
            self._queue.submit(extend(aor, self._server), answered)
        else:
            self._queue.submit(release(aor, self._server), answered)

    def _found(self, running: Delivery, rows: Sequence[Binding] | None) -> None:
        self._again.discard(running.aor)  # this round finds what was registered or stored until now
        self._go_on(running, rows)

    def _remove(self, running: Delivery, number: int) -> None:
        work = remove(running.aor, number, self._server)
        self._queue.submit(work, lambda has_lease: self._removed(running, number, has_lease))

    def _removed(self, running: Delivery, number: int, has_lease: bool | None) -> None:  # noqa: FBT001 - the result of the work
        if has_lease is not None:
            self._unremoved.discard(number)
        if not has_lease:
            running.is_over = True

    def _end(self, running: Delivery, end: DeliveryEnd) -> None:
        """End one delivery, and begin those that wait for it."""
        aor = running.aor
        del self._running[aor]
        if end is DeliveryEnd.RETRY:
            self._retries.add(aor, self._clock())
            if running.is_found:
                self._undelivered.add(aor)
        elif running.has_refused:
            self._refused.add(aor)
        if end is DeliveryEnd.HELD:
            self._held.add(aor, self._clock())
        if aor in self._again:
            self._again.discard(aor)
            self.start(aor)
        while self._next_ones and len(self._running) < MOST_DELIVERIES and not self._is_closed:
            following = next(iter(self._next_ones))
            del self._next_ones[following]
            self.start(following)
