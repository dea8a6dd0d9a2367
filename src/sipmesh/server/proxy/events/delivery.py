"""The delivery of the messages of one user: one function, which says what to do and goes on with the answer.

It sends nothing and reads no clock: `message_delivery` carries out what it yields.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any, Final

from sipmesh.errors import RemoteError
from sipmesh.routing.events.stored_message import delivery, is_receipt
from sipmesh.routing.proxy.target_set import as_sip
from sipmesh.routing.registrar.binding import Binding
from sipmesh.server.proxy.events.own_requests import NO_ANSWER
from sipmesh.sip.message import Request
from sipmesh.sip.status import FIRST_GLOBAL_FAILURE, FIRST_REDIRECTION, Status

if TYPE_CHECKING:
    from sipmesh.server.proxy.events.unanswered import UnansweredAttempts
    from sipmesh.server.quotas.limited_log import LimitedLog
    from sipmesh.storage.messages import Claimed, StoredMessage

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


@dataclass(frozen=True, slots=True)
class ClaimMessages:
    """Take the lease of the user, and read the messages behind number *after*. The answer is `Claimed`, or None."""

    after: int


@dataclass(frozen=True, slots=True)
class ReadPhones:
    """Read the registrations of the user. The answer is the rows, or None."""


@dataclass(frozen=True, slots=True)
class SendMessage:
    """Send *request* to the phone of *row*. The answer is the status of its final response, or `NO_ANSWER`."""

    row: Binding
    request: Request
    identity: str | None


@dataclass(frozen=True, slots=True)
class ExtendLease:
    """Keep the lease. The answer is whether this server has it, or None."""


@dataclass(frozen=True, slots=True)
class RemoveMessage:
    """Remove the message *number*, and go on at once: the next one must not be slower than a sender who goes on writing.

    *is_delivered*: some phone has taken it.
    """

    number: int
    is_delivered: bool


@dataclass(frozen=True, slots=True)
class ReleaseLease:
    """Let other servers deliver. The answer is None."""


DeliveryEffect = ClaimMessages | ReadPhones | SendMessage | ExtendLease | RemoveMessage | ReleaseLease
Steps = Generator[DeliveryEffect, Any, "DeliveryEnd"]


class DeliveryEnd(Enum):
    """How a delivery has ended."""

    DONE = "done"
    HELD = "held"  # another server delivers
    RETRY = "retry"  # some phone may take what is left, later


class Fate(Enum):
    """What has become of one message, at one phone or at all of them."""

    DELIVERED = "delivered"
    UNWANTED = "unwanted"  # it is removed too
    EXPIRED = "expired"
    UNANSWERED = "unanswered"
    REFUSED = "refused"  # another phone may take it
    UNREACHED = "unreached"
    LEASE_LOST = "lease lost"


class Delivery:
    """The messages of one user that this server delivers.

    *attempts* are those that phones did not answer; *unremoved* the numbers of messages that were delivered, and could not be
    removed yet. *rows* are the bindings to try, in order. *last* is the number of the last message that was dealt with. *silent*
    are the flows that have not answered the last message they got. *held_back* are the senders whose messages have to wait.
    *has_refused*: messages were left since each phone has refused them. *is_found*: there are messages. *read_at* is the loop
    time at which *messages* were read. *found* are the flows of all phones that were found. *is_over*: another server has the
    lease, or the database cannot be written. *is_closed*: this server ends.
    """

    __slots__ = (
        "_attempts",
        "_log",
        "_now",
        "_steps",
        "_unremoved",
        "aor",
        "found",
        "has_refused",
        "held_back",
        "is_closed",
        "is_found",
        "is_over",
        "last",
        "messages",
        "read_at",
        "rows",
        "silent",
    )

    def __init__(self, aor: str, attempts: UnansweredAttempts, unremoved: set[int], log: LimitedLog) -> None:
        self.aor, self._attempts, self._unremoved, self._log = aor, attempts, unremoved, log
        self.last, self.read_at, self._now = 0, 0.0, 0.0
        self.has_refused = self.is_found = self.is_over = self.is_closed = False
        self.found: frozenset[str] = frozenset()
        self.silent: set[str] = set()
        self.held_back: set[bytes] = set()
        self.rows: list[Binding] = []
        self.messages: deque[StoredMessage] = deque()
        self._steps: Steps = self._deliver()

    def go_on(self, answer: object, now: float) -> DeliveryEffect | DeliveryEnd:
        """Take the *answer* to the effect before, None at the begin, and say what follows."""
        self._now = now
        try:
            return self._steps.send(answer)
        except StopIteration as end:
            ended: DeliveryEnd = end.value
            return ended

    def has_found(self, rows: Sequence[Binding] | None) -> bool:
        """Tell whether the phones of all *rows* were found; None where the store has to be asked."""
        return rows is not None and self.found.issuperset(row.token for row in rows)

    def _deliver(self) -> Steps:
        """Deliver all messages, some of them at a time."""
        while True:
            claimed: Claimed | None = yield ClaimMessages(self.last)
            if claimed is None:
                return DeliveryEnd.RETRY
            if claimed.is_held:
                return DeliveryEnd.HELD
            if not claimed.messages:
                if not self.is_found:
                    self._attempts.forget(self.aor)
                return (yield from self._leave(retries=bool(self.held_back)))
            self.is_found, self.read_at = True, self._now
            self.messages.extend(claimed.messages)
            rows: Sequence[Binding] | None = yield ReadPhones()
            self.rows = list(rows or ())
            self.found = frozenset(row.token for row in self.rows)
            end = yield from self._deliver_claimed()
            if end is not None:
                return end

    def _leave(self, *, retries: bool) -> Steps:
        yield ReleaseLease()
        return DeliveryEnd.RETRY if retries else DeliveryEnd.DONE

    def _deliver_claimed(self) -> Generator[DeliveryEffect, Any, DeliveryEnd | None]:
        """Deliver the messages that were read; None: there may be more."""
        while True:
            self._pass_by()
            if self.is_over:
                return DeliveryEnd.RETRY
            if not self.rows or self.is_closed:
                return (yield from self._leave(retries=bool(self.rows or self.held_back)))
            if not self.messages:
                return None
            message = self.messages[0]
            fate = Fate.UNWANTED if message.number in self._unremoved else (yield from self._try_phones(message))
            if fate is Fate.LEASE_LOST:
                return DeliveryEnd.RETRY
            if fate is Fate.UNREACHED:
                return (yield from self._leave(retries=True))
            yield from self._settle(message, fate)

    def _pass_by(self) -> None:
        """Leave the next messages, as long as they have expired, or their senders have to wait."""
        while self.messages and (self.messages[0].sender in self.held_back or self._has_expired()):
            self.last = self.messages.popleft().number

    def _has_expired(self) -> bool:
        """Tell whether the next message has expired since it was read: the phones may have been slow to answer others."""
        return self._now - self.read_at >= self.messages[0].left_s

    def _settle(self, message: StoredMessage, fate: Fate) -> Generator[DeliveryEffect, Any, None]:
        """Remove *message*, or leave it where it is. Later messages of its sender keep their order."""
        if fate is Fate.DELIVERED or fate is Fate.UNWANTED:
            self.messages.popleft()
            self.last = message.number
            self._unremoved.add(message.number)
            yield RemoveMessage(message.number, is_delivered=fate is Fate.DELIVERED)
        elif fate is Fate.UNANSWERED:
            self.held_back.add(message.sender)
            self._log.info(self.aor, "stored message not answered", aor=self.aor)
        elif fate is Fate.REFUSED:
            self.has_refused = True  # another phone may take it, at its registration
            self.last = self.messages.popleft().number
            self._log.info(self.aor, "stored message refused by each phone of its user", aor=self.aor)
            if not (yield ExtendLease()):
                self.is_over = True

    def _try_phones(self, message: StoredMessage) -> Generator[DeliveryEffect, Any, Fate]:
        """Send *message* to one phone after the other, until one of them takes it, or its user refuses it."""
        fates = set[Fate]()
        for row in list(self.rows):
            if self._has_expired():
                return Fate.EXPIRED
            fate = yield from self._try_phone(message, row)
            if fate in {Fate.DELIVERED, Fate.UNWANTED, Fate.LEASE_LOST}:
                return fate
            fates.add(fate)
        return self._fate(message, fates)

    def _try_phone(self, message: StoredMessage, row: Binding) -> Generator[DeliveryEffect, Any, Fate]:
        if self._attempts.are_spent(self.aor, message.number, row.token):
            return Fate.REFUSED
        effect = self._request(message, row)
        if effect is None:
            return Fate.UNWANTED
        status: int = yield effect
        if status == Status.REQUEST_TIMEOUT:
            fate = Fate.REFUSED if self._is_spent_by_silence(message, row) else Fate.UNANSWERED
            return fate if (yield ExtendLease()) else Fate.LEASE_LOST
        self.silent.discard(row.token)
        return self._fate_by(status, message, row)

    def _fate_by(self, status: int, message: StoredMessage, row: Binding) -> Fate:
        """Say what has become of *message* at a phone that has answered, or was not reached."""
        if status in UNREACHED:
            self._do_without(row)
            return Fate.UNREACHED
        if status < FIRST_REDIRECTION:
            return Fate.DELIVERED
        if status >= FIRST_GLOBAL_FAILURE:
            self._log.info(self.aor, "stored message removed: the user refused it", aor=self.aor, status=status)
            return Fate.UNWANTED
        self._attempts.spend(self.aor, message.number, row.token)
        return Fate.REFUSED

    def _request(self, message: StoredMessage, row: Binding) -> SendMessage | None:
        """Make the request for one phone; None if the message cannot be read."""
        try:
            request, identity = delivery(message.octets, as_sip(row.contact))
        except RemoteError as wrong:
            self._log.error(self.aor, "stored message removed: it cannot be read", aor=self.aor, why=str(wrong))
            return None
        return SendMessage(row, request, identity)

    def _is_spent_by_silence(self, message: StoredMessage, row: Binding) -> bool:
        """A phone has not answered. It gets one more message, of another sender: two in a row mean that it answers nothing."""
        self._attempts.add(self.aor, message.number, row.token)
        if row.token in self.silent:
            self._do_without(row)
        self.silent.add(row.token)
        return self._attempts.are_spent(self.aor, message.number, row.token)

    def _do_without(self, row: Binding) -> None:
        """Stop sending messages to the phone of *row*."""
        self.rows = [known for known in self.rows if known is not row]

    def _fate(self, message: StoredMessage, fates: set[Fate]) -> Fate:
        """Say what becomes of *message*, which no phone has taken: *fates* are those at each of them."""
        if self._has_expired():
            return Fate.EXPIRED
        if Fate.UNANSWERED in fates:
            return Fate.UNANSWERED
        if Fate.REFUSED in fates and is_receipt(message.octets):
            self._log.info(self.aor, "stored receipt removed: no phone of its user accepts it", aor=self.aor)
            return Fate.UNWANTED
        return Fate.REFUSED if Fate.REFUSED in fates else Fate.UNREACHED
