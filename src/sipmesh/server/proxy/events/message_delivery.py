"""Delivers stored messages, in their order, once their user has registered.

One server at a time delivers the messages of a user, and it sends the next one after the answer to the message before.
A phone that answers 2xx has the message: it is removed. A server that dies in between, or an answer that is lost, makes
the next server send the message again, with the same Call-ID and CSeq.

A phone that does not answer a message, on a link that is up, holds up the messages of the same sender only: those of other
senders are delivered meanwhile. After a few attempts the message is left where it is, and those behind it are delivered.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Sequence
from math import inf
from typing import TYPE_CHECKING, Final

from sipmesh.errors import RemoteError
from sipmesh.routing.events.stored_message import delivery, is_receipt
from sipmesh.routing.proxy.target_set import as_sip
from sipmesh.server.proxy.events.own_requests import NO_ANSWER
from sipmesh.server.proxy.events.unanswered import UnansweredAttempts
from sipmesh.server.proxy.timeout_queue import TimeoutQueue
from sipmesh.sip.status import FIRST_GLOBAL_FAILURE, FIRST_REDIRECTION, Status
from sipmesh.storage.messages import Claimed, StoredMessage, claim, extend, release, remove

if TYPE_CHECKING:
    from sipmesh.routing.registrar.binding import Binding
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

UNREACHED: Final = frozenset(
    {
        NO_ANSWER,
        Status.REQUEST_TIMEOUT,
        Status.FLOW_FAILED,
        Status.TEMPORARILY_UNAVAILABLE,
        Status.SERVICE_UNAVAILABLE,
        Status.SERVER_TIMEOUT,
    }
)
"""The phone does not have the message, and may take it later. With any other refusal it does not want this message."""


class Delivery:
    """The messages of one user that this server delivers.

    *rows* are the bindings to try, in order; *left* are those still to try for the message that is under way. *last* is the
    number of the last message that was dealt with. *refused*: some phone has refused the present message. *unanswered*: some
    phone has not answered it. *silent* are the flows that have not answered the last message they got. *held_back* are the
    senders whose messages have to wait. *has_refused*: messages were left since each phone has refused them. *is_found*:
    there are messages. *read_at* is the loop time at which *messages* were read. *found* are the flows of all phones that were
    found. *is_over*: another server has the lease, or the database cannot be written.
    """

    __slots__ = (
        "aor",
        "found",
        "has_refused",
        "held_back",
        "is_found",
        "is_over",
        "last",
        "left",
        "messages",
        "read_at",
        "refused",
        "rows",
        "silent",
        "unanswered",
    )

    def __init__(self, aor: str) -> None:
        self.aor, self.last, self.read_at = aor, 0, 0.0
        self.refused = self.unanswered = self.has_refused = self.is_found = self.is_over = False
        self.found: frozenset[str] = frozenset()
        self.silent: set[str] = set()
        self.held_back: set[bytes] = set()
        self.rows: list[Binding] = []
        self.left: list[Binding] = []
        self.messages: deque[StoredMessage] = deque()

    def __repr__(self) -> str:
        return f"<Delivery to {self.aor}: {len(self.messages)} messages, {len(self.rows)} phones>"

    def has_expired(self, now: float) -> bool:
        """Tell whether the next message has expired since it was read: the phones may have been slow to answer others."""
        return now - self.read_at >= self.messages[0].left_s

    def pass_by(self, now: float) -> None:
        """Leave the next messages, as long as they have expired, or their senders have to wait."""
        while self.messages and (self.messages[0].sender in self.held_back or self.has_expired(now)):
            self.last = self.messages.popleft().number

    def has_found(self, rows: Sequence[Binding] | None) -> bool:
        """Tell whether the phones of all *rows* were found; None where the store has to be asked."""
        return rows is not None and self.found.issuperset(row.token for row in rows)

    def without(self, row: Binding) -> None:
        """Stop sending messages to the phone of *row*."""
        self.rows = [known for known in self.rows if known is not row]


class MessageDelivery:
    """Delivers what waits in *queue* for the users who register; *server* is this server.

    *account_of* says which account of a name there is (`Verifier.created`): an earlier user of this name had other messages.
    """

    def __init__(
        self,
        server: str,
        queue: MessageQueue,
        registrations: Registrations,
        own_requests: OwnRequests,
        account_of: Callable[[str], int],
        clock: Callable[[], float],
        log: LimitedLog,
    ) -> None:
        self._server, self._queue, self._registrations = server, queue, registrations
        self._account_of = account_of
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

    def __repr__(self) -> str:
        return f"<MessageDelivery to {len(self._running)} users, {len(self._next_ones)} wait>"

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
            running = self._running[aor] = Delivery(aor)
            self._claim(running)

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
        for aor in self._running:
            self._queue.submit(release(aor, self._server))

    def _claim(self, running: Delivery) -> None:
        work = claim(running.aor, self._server, running.last, self._account_of(running.aor))
        self._queue.submit(work, lambda claimed: self._claimed(running, claimed))

    def _claimed(self, running: Delivery, claimed: Claimed | None) -> None:
        if claimed is None:
            self._end(running, retries=True)
        elif claimed.is_held:
            self._held.add(running.aor, self._clock())
            self._end(running, retries=False)
        elif not claimed.messages:
            if not running.is_found:
                self._attempts.forget(running.aor)
            self._release(running, retries=bool(running.held_back))
        else:
            running.is_found, running.read_at = True, self._clock()
            running.messages.extend(claimed.messages)
            self._registrations.look_up(running.aor, lambda rows: self._found(running, rows))

    def _found(self, running: Delivery, rows: Sequence[Binding] | None) -> None:
        running.rows = list(rows or ())
        running.found = frozenset(row.token for row in running.rows)
        self._again.discard(running.aor)  # this round finds what was registered or stored until now
        self._deliver_next(running)

    def _deliver_next(self, running: Delivery) -> None:
        running.pass_by(self._clock())
        if running.is_over:
            self._end(running, retries=True)
        elif not running.rows or self._is_closed:
            self._release(running, retries=bool(running.rows or running.held_back))
        elif not running.messages:
            self._claim(running)
        elif running.messages[0].number in self._unremoved:
            self._remove(running)
        else:
            running.left, running.refused, running.unanswered = list(running.rows), False, False
            self._try_next_phone(running)

    def _try_next_phone(self, running: Delivery) -> None:
        if running.has_expired(self._clock()):
            self._deliver_next(running)
            return
        message = running.messages[0]
        while running.left:
            row = running.left.pop(0)
            if not self._attempts.are_spent(running.aor, message.number, row.token):
                self._send(running, message, row)
                return
            running.refused = True
        if running.unanswered:
            self._hold_back(running)
        elif running.refused and is_receipt(message.octets):
            self._log.info(running.aor, "stored receipt removed: no phone of its user accepts it", aor=running.aor)
            self._remove(running)
        elif running.refused:
            self._pass_over(running)
        else:
            self._release(running, retries=True)

    def _send(self, running: Delivery, message: StoredMessage, row: Binding) -> None:
        try:
            request, identity = delivery(message.octets, as_sip(row.contact))
        except RemoteError as wrong:
            self._log.error(running.aor, "stored message removed: it cannot be read", aor=running.aor, why=str(wrong))
            self._remove(running)
            return
        self._own_requests.send_to(row, request, identity, lambda status: self._answered(running, row, status))

    def _answered(self, running: Delivery, row: Binding, status: int) -> None:
        if status == Status.REQUEST_TIMEOUT:
            self._timed_out(running, row)
            return
        running.silent.discard(row.token)
        if status in UNREACHED:
            running.without(row)
            self._try_next_phone(running)
        elif status < FIRST_REDIRECTION:
            self.delivered += 1
            self._remove(running)
        elif status >= FIRST_GLOBAL_FAILURE:
            self._log.info(running.aor, "stored message removed: the user refused it", aor=running.aor, status=status)
            self._remove(running)
        else:
            running.refused = True
            self._attempts.spend(running.aor, running.messages[0].number, row.token)
            self._try_next_phone(running)

    def _timed_out(self, running: Delivery, row: Binding) -> None:
        """A phone has not answered. It gets one more message, of another sender: two in a row mean that it answers nothing."""
        number, flow = running.messages[0].number, row.token
        self._attempts.add(running.aor, number, flow)
        if self._attempts.are_spent(running.aor, number, flow):
            running.refused = True
        else:
            running.unanswered = True
        if flow in running.silent:
            running.without(row)
        running.silent.add(flow)
        self._queue.submit(extend(running.aor, self._server), lambda has_lease: self._try_others(running, has_lease))

    def _try_others(self, running: Delivery, has_lease: bool | None) -> None:  # noqa: FBT001 - the result of the work
        if has_lease:
            self._try_next_phone(running)
        else:
            self._end(running, retries=True)

    def _hold_back(self, running: Delivery) -> None:
        """Leave a message that a phone has not answered, and those of the same sender: they keep their order."""
        running.held_back.add(running.messages[0].sender)
        self._log.info(running.aor, "stored message not answered", aor=running.aor)
        self._deliver_next(running)

    def _remove(self, running: Delivery) -> None:
        """Have a message removed, and go on meanwhile: the next one must not be slower than a sender who goes on writing."""
        message = running.messages.popleft()
        running.last = message.number
        self._unremoved.add(message.number)
        work = remove(running.aor, message.number, self._server)
        self._queue.submit(work, lambda has_lease: self._removed(running, message, has_lease))
        self._deliver_next(running)

    def _removed(self, running: Delivery, message: StoredMessage, has_lease: bool | None) -> None:  # noqa: FBT001 - the result of the work
        if has_lease is not None:
            self._unremoved.discard(message.number)
        if not has_lease:
            running.is_over = True

    def _pass_over(self, running: Delivery) -> None:
        """Leave a message that each phone has refused: another phone may take it, at its registration."""
        running.has_refused = True
        running.last = running.messages.popleft().number
        self._log.info(running.aor, "stored message refused by each phone of its user", aor=running.aor)
        self._queue.submit(extend(running.aor, self._server), lambda has_lease: self._go_on(running, has_lease))

    def _go_on(self, running: Delivery, has_lease: bool | None) -> None:  # noqa: FBT001 - the result of the work
        if not has_lease:
            running.is_over = True
        self._deliver_next(running)

    def _release(self, running: Delivery, *, retries: bool) -> None:
        self._queue.submit(release(running.aor, self._server), lambda _: self._end(running, retries=retries))

    def _end(self, running: Delivery, *, retries: bool) -> None:
        """End one delivery, and begin those that wait for it."""
        aor = running.aor
        del self._running[aor]
        if retries:
            self._retries.add(aor, self._clock())
            if running.is_found:
                self._undelivered.add(aor)
        elif running.has_refused:
            self._refused.add(aor)
        if aor in self._again:
            self._again.discard(aor)
            self.start(aor)
        while self._next_ones and len(self._running) < MOST_DELIVERIES and not self._is_closed:
            following = next(iter(self._next_ones))
            del self._next_ones[following]
            self.start(following)
