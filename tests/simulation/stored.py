"""What a 202 promises: the message is delivered once the user is back, in the order of its sender, once, and not too late."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass, field
from math import inf
from typing import TYPE_CHECKING, Final

from simulation.faults import LOSE_LINKS
from simulation.organisations import MESSAGES, PER_SENDER, PER_USER

if TYPE_CHECKING:
    from simulation.phone import Phone, Transaction
    from simulation.world import World

SLACK_S: Final = 4.0
LATE_S: Final = 1.0
"""How long after its Expires a message may arrive: the database counts from when it was stored."""

STORES_WAIT: Final = frozenset({"slow_store", "slow_database", "database_down", "cut_database"})
REPEATS: Final = LOSE_LINKS | STORES_WAIT | {"deaf_phone", "outage", "hang_leader"}
"""What may lose an answer, so that a message is delivered again."""

SILENCES: Final = frozenset({"deaf_phone", "cut", "cut_one_way", "slow", "hang", "slow_store", "slow_database"})
"""What may keep a phone from answering in time: after some attempts, later messages are delivered before this one."""

ANSWER_S: Final = 34.0
"""How long a server waits for the answer of a phone (timer F): so long a message may be held that is about to expire."""

COUNTED: Final = "SELECT aor, sender, count(*) FROM stored_messages WHERE expires > ? GROUP BY aor, sender"


@dataclass
class Promise:
    """A message for *target* that was answered with 202.

    *arrived* are the phones that got it, *answered* the times at which one took it. *copies*: it was sent again, and acknowledged
    again before it was delivered.
    """

    mark: str
    sender: str
    target: str
    sent_at: float
    accepted_at: float
    expires_at: float
    arrived: list[tuple[Phone, float]] = field(default_factory=list)
    answered: list[float] = field(default_factory=list)
    ignored: bool = False
    copies: int = 0


class StoredMessages:
    """The promises of a run, by the marks of their messages."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.promises: dict[str, Promise] = {}
        self.repeated: set[str] = set()
        self._ignored_at: dict[str, float] = {}
        self._early: dict[str, list[tuple[Phone, float, bool]]] = {}

    def accepted(self, phone: Phone, transaction: Transaction) -> None:
        """A phone has read a 202 to its MESSAGE; it may have been delivered meanwhile."""
        request, now = transaction.request, self.world.loop.now
        seconds = request.expires
        promise = Promise(
            transaction.mark,
            phone.aor,
            request.ruri.aor,
            transaction.sent_at,
            now,
            inf if seconds is None else transaction.sent_at + seconds,
        )
        known = self.promises.setdefault(transaction.mark, promise)
        if known is not promise:
            known.copies += not known.arrived
            return
        for other, at, answered in self._early.pop(transaction.mark, ()):
            promise.arrived.append((other, at))
            if answered:
                promise.answered.append(at)

    def arrived(self, phone: Phone, mark: str) -> bool:
        """A MESSAGE has come to a phone; False if it was not acknowledged with 202, as far as its sender knows."""
        promise = self.promises.get(mark)
        if promise is None:
            self._early.setdefault(mark, []).append((phone, self.world.loop.now, False))
            return False
        self._in_order(promise)
        self._once(phone, promise)
        self._in_time(promise)
        promise.arrived.append((phone, self.world.loop.now))
        return True

    def answered(self, mark: str) -> None:
        """A phone has answered a MESSAGE with 200."""
        promise = self.promises.get(mark)
        if promise is not None:
            promise.answered.append(self.world.loop.now)
        elif mark in self._early:
            phone, at, _ = self._early[mark][-1]
            self._early[mark][-1] = phone, at, True

    def ignores(self, mark: str, chance: float) -> bool:
        """Tell whether a phone does not answer a stored message: it does so once, and not in calm.

        Each copy is answered: it may come directly, and its sender then waits for the response.
        """
        promise = self.promises.get(mark)
        if mark in self.repeated:
            return False
        if promise is None or promise.ignored or chance > 0.08 or self.world.traffic.calm or self.world.is_settling:
            return False
        promise.ignored = True
        self._ignored_at[promise.target] = self.world.loop.now
        self.world.tell("phone", "ignores", mark)
        return True

    def _in_order(self, promise: Promise) -> None:
        """What a user was sent first comes first, unless a phone did not answer; a copy may find another way."""
        if promise.arrived or promise.mark in self.repeated:
            return
        for other in self.promises.values():
            before = other.accepted_at < promise.sent_at and not other.arrived and not other.ignored
            same = (other.sender, other.target) == (promise.sender, promise.target)
            if before and same and self._counts(other) and self.world.troubled_at(SILENCES) < other.sent_at - SLACK_S:
                self.world.violated("stored messages keep their order", f"{promise.mark} came before {other.mark}")

    def _once(self, phone: Phone, promise: Promise) -> None:
        """A message that a phone has taken comes no second time, unless the answer may have been lost."""
        if not promise.answered or promise.ignored or (promise.mark in self.repeated and not promise.copies):
            return
        first = promise.arrived[0][1]
        left = any(other.up_at > at or not other.up for other, at in promise.arrived)
        if not left and self.world.troubled_at(REPEATS) < first - SLACK_S:
            who = ", ".join(other.name for other, _ in promise.arrived)
            self.world.violated("no stored message twice", f"{promise.mark} came to {who}, and again to {phone.name}")

    def _in_time(self, promise: Promise) -> None:
        """A message that has expired is not delivered."""
        now = self.world.loop.now
        waits = now - self._ignored_at.get(promise.target, -inf) < ANSWER_S + SLACK_S
        calm = self.world.troubled_at(REPEATS) < promise.expires_at - ANSWER_S
        if now > promise.expires_at + LATE_S and calm and not waits and not promise.arrived:
            self.world.violated("no message after its Expires", f"{promise.mark} at {now - promise.expires_at:.1f} s")

    def have_waited(self, aor: str, since: float) -> bool:
        """Tell whether messages for *aor* were acknowledged that no phone had taken at the time *since*."""
        of_user = [promise for promise in self.promises.values() if promise.target == aor]
        return any(not promise.answered or promise.answered[0] >= since for promise in of_user)

    def _counts(self, promise: Promise) -> bool:
        """Tell whether a promise holds now: it has not expired, and its user was not removed meanwhile."""
        removed_at = self.world.operations.last_removed.get(promise.target, -inf)
        return self.world.loop.now < promise.expires_at - SLACK_S and removed_at < promise.sent_at - SLACK_S

    def each_second(self) -> None:
        """No user has more messages than the limits allow."""
        counts: dict[str, int] = {}
        for aor, sender, count in self._stored():
            counts[aor] = counts.get(aor, 0) + count
            if count > PER_SENDER:
                self.world.violated("limits hold", f"{count} messages of {sender!r} are stored for {aor}")
        for aor, count in counts.items():
            if count > PER_USER:
                self.world.violated("limits hold", f"{count} messages are stored for {aor}")

    def _stored(self) -> list[tuple[str, bytes, int]]:
        file = self.world.databases.file_of(MESSAGES)
        if not file.exists():
            return []
        connection = self.world.databases.opened(file)
        try:
            rows: list[tuple[str, bytes, int]] = connection.execute(COUNTED, (self.world.wall_s,)).fetchall()
        except sqlite3.OperationalError:  # no message was stored yet
            return []
        finally:
            connection.close()
        return rows

    def at_rest(self) -> None:
        """Every message that was acknowledged, and has not expired, was taken by a phone."""
        for promise in self.promises.values():
            if not promise.answered and self._counts(promise):
                what = f"{promise.mark} of {promise.sender} to {promise.target}, acknowledged at {promise.accepted_at:.1f} s"
                self.world.violated("a stored message is delivered", what)
