"""The event state of one server: its parts, built together, and what links and timers tell them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from sipmesh.routing.events.packages import MESSAGE_SUMMARY
from sipmesh.server.proxy.events.misplaced_subscriptions import MisplacedSubscriptions
from sipmesh.storage.messages import counts, expire, forget_users

if TYPE_CHECKING:
    from sipmesh.errors import OperatorError
    from sipmesh.server.in_force.in_force import Current
    from sipmesh.server.log import Log
    from sipmesh.server.proxy.events.group_messages import GroupMessages
    from sipmesh.server.proxy.events.message_delivery import MessageDelivery
    from sipmesh.server.proxy.events.message_history import MessageHistory
    from sipmesh.server.proxy.events.message_storing import MessageStoring
    from sipmesh.server.proxy.events.notifier import EventNotifier
    from sipmesh.server.proxy.events.own_requests import OwnRequests
    from sipmesh.server.proxy.events.quality_reports import QualityReports
    from sipmesh.server.proxy.flow import Flow
    from sipmesh.server.proxy.liveness.outages import Outages
    from sipmesh.sip.message import Response
    from sipmesh.storage.message_queue import MessageQueue

LOOK_EVERY_S: Final = 2.0
"""How often a server looks who has messages: those that another server has stored, or has left, and those of removed users."""

EXPIRE_EVERY_S: Final = 60.0
"""How often expired messages are removed; an expired message is never delivered."""


class EventServer:
    """The notifier, the messages that wait for users, and the requests of our own."""

    def __init__(
        self,
        queue: MessageQueue,
        own_requests: OwnRequests,
        storing: MessageStoring,
        delivery: MessageDelivery,
        notifier: EventNotifier,
        groups: GroupMessages,
        quality: QualityReports,
        history: MessageHistory,
        outages: Outages,
        current: Current,
        clock: Callable[[], float],
        log: Log,
    ) -> None:
        self._queue, self.own_requests, self.storing, self.delivery = queue, own_requests, storing, delivery
        self.notifier, self._outages, self._current = notifier, outages, current
        self.groups, self.quality, self.history = groups, quality, history
        self._clock, self._log = clock, log
        self._misplaced = MisplacedSubscriptions(notifier, outages, current, clock)
        self._look_at = self._expire_at = 0.0
        self._outages_over = 0
        self._waiting: dict[str, int] = {}
        self._stored_since: set[str] = set()
        self.store_fault = ""

    def begin(self) -> None:
        """Begin: the ports are ours."""
        self._queue.begin(self)

    def has_stored(self, aor: str) -> None:
        """A MESSAGE for *aor* was stored: deliver it, if *aor* has registered meanwhile."""
        self._stored_since.add(aor)
        self.delivery.start(aor)

    @property
    def messages_waiting(self) -> int:
        """How many messages were in the database when it was looked at last."""
        return sum(self._waiting.values())

    def messages_waiting_for(self, aor: str) -> int:
        """Return how many messages for *aor* were in the database when it was looked at last."""
        return self._waiting.get(aor, 0)

    def registered(self, aor: str) -> None:
        """A phone of *aor* has registered on a link of this server.

        The database is asked only for users who have messages: after a restart thousands register at once.
        """
        if aor in self._waiting or aor in self._stored_since:
            self.delivery.registered(aor)

    def responded(self, flow: Flow, response: Response) -> bool:
        """Take a response to a request of our own; False if it is to none."""
        return self.own_requests.responded(flow, response)

    def link_down(self, flow: Flow) -> None:
        """A link has closed."""
        self.own_requests.link_down(flow)
        self.notifier.link_down(flow)

    def flow_ended(self, flow: Flow) -> None:
        """End what was under way on a carried *flow*."""
        self.own_requests.flow_ended(flow)
        self.notifier.link_down(flow)

    def sweep(self) -> None:
        """Handle every deadline that has passed; called about twice a second."""
        self.own_requests.sweep()
        self.storing.sweep()
        over, self._outages_over = self._outages_over, self._outages.over
        self.delivery.sweep(at_once=over != self._outages_over)  # a server with phones answers again
        self.notifier.sweep()
        self.history.sweep()
        self._misplaced.sweep()
        now = self._clock()
        if now >= self._look_at:
            self._look_at = now + LOOK_EVERY_S
            before, self._stored_since = self._stored_since, set()
            self._queue.submit(counts(), lambda waiting: self._looked(waiting, before), only_reads=True)
        if now >= self._expire_at:
            self._expire_at = now + EXPIRE_EVERY_S
            self._queue.submit(expire())

    def _looked(self, waiting: dict[str, int] | None, before: set[str]) -> None:
        """Take over who has messages; *before* are those who got one before the database was looked at."""
        if waiting is None:
            self._stored_since |= before
            return
        self._waiting = waiting
        self.delivery.look(waiting)
        for aor in self.notifier.watched(MESSAGE_SUMMARY):
            self.notifier.waiting(aor, waiting.get(aor, 0))
        self._forget_removed(frozenset(waiting))

    def users_changed(self, aors: frozenset[str]) -> None:
        """Check who may watch *aors*, and remove the messages of those who are no users any more.

        That comes before any delivery or storing for a user of the same name who is added next.
        """
        self.notifier.rules_changed(aors)
        self._forget_removed(aors)
        self.history.users_changed(aors)

    def _forget_removed(self, aors: frozenset[str]) -> None:
        if gone := self._current.value.homes.unknown(aors):
            self._queue.submit(forget_users(gone))

    def drain(self) -> None:
        """End all subscriptions, so that the watchers subscribe at another server."""
        self.notifier.drain()

    def close(self) -> None:
        """Leave what is not delivered to others, and close the database."""
        self.delivery.close()
        self._queue.close()

    def store_failing(self, problem: OperatorError) -> None:
        """The database cannot be used: messages to users who are not registered are refused."""
        self.store_fault = str(problem)
        self._log.error("messages cannot be stored", why=str(problem))

    def store_working(self) -> None:
        """The database can be used again."""
        self.store_fault = ""
        self._log.info("messages can be stored again")
