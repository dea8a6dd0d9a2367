"""The event state of one server: its parts, built together, and what links and timers tell them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from sipmesh.routing.events.stored_message import is_storable
from sipmesh.storage.messages import MessageLimits, Storing, counts, expire, forget_users

if TYPE_CHECKING:
    from sipmesh.errors import OperatorError
    from sipmesh.routing.identity.border import Border
    from sipmesh.server.log import Log
    from sipmesh.server.proxy.events.message_delivery import MessageDelivery
    from sipmesh.server.proxy.events.message_storing import MessageStoring
    from sipmesh.server.proxy.events.own_requests import OwnRequests
    from sipmesh.server.proxy.flow import Flow
    from sipmesh.server.proxy.login.home_pools import HomePools
    from sipmesh.sip.message import Request, Response
    from sipmesh.storage.message_queue import MessageQueue
    from sipmesh.topology.view import ServerView

LOOK_EVERY_S: Final = 2.0
"""How often a server looks who has messages: those that another server has stored, or has left, and those of removed users."""

EXPIRE_EVERY_S: Final = 60.0
"""How often messages are removed that have expired; nobody gets them before."""

DAY_S: Final = 86_400.0


class EventServer:
    """The messages that wait for users, and the requests of our own."""

    def __init__(
        self,
        queue: MessageQueue,
        own_requests: OwnRequests,
        storing: MessageStoring,
        delivery: MessageDelivery,
        homes: HomePools,
        clock: Callable[[], float],
        log: Log,
    ) -> None:
        self._queue, self._own_requests, self.storing, self.delivery = queue, own_requests, storing, delivery
        self._homes, self._clock, self._log = homes, clock, log
        self._look_at = self._expire_at = 0.0
        self._waiting: dict[str, int] = {}
        self._stored_since: set[str] = set()
        storing.on_stored = self.stored

    def __repr__(self) -> str:
        return f"<EventServer {self.storing!r}, {self.delivery!r}>"

    def begin(self) -> None:
        """Begin: the ports are ours."""
        self._queue.begin(self)

    def apply_view(self, view: ServerView, border: Border) -> None:
        """Use another topology from now on."""
        self.storing.limits = message_limits(view)
        self._own_requests.border = border

    def is_to_store(self, request: Request, aor: str, *, is_registered: bool) -> bool:
        """Tell whether a MESSAGE for *aor* is to be stored: nobody is registered, or earlier ones are being delivered."""
        if is_registered and not self.delivery.is_running(aor):
            return False
        return self.storing.limits.per_user > 0 and is_storable(request)

    def store(self, request: Request, aor: str, identity: str | None, done: Callable[[Storing], None]) -> None:
        """Store a MESSAGE for *aor*; *done* gets what has become of it."""
        self.storing.store(request, aor, identity, done)

    @property
    def messages_waiting(self) -> int:
        """How many messages were in the database when it was looked at last."""
        return sum(self._waiting.values())

    def registered(self, aor: str) -> None:
        """A phone of *aor* has registered on a link of this server.

        The database is asked only for users who have messages: after a restart thousands register at once.
        """
        if aor in self._waiting or aor in self._stored_since:
            self.delivery.start(aor)

    def stored(self, aor: str) -> None:
        """A message was stored for *aor*, who may have registered meanwhile."""
        self._stored_since.add(aor)
        self.delivery.start(aor)

    def responded(self, flow: Flow, response: Response) -> bool:
        """Take a response to a request of our own; False if it is to none."""
        return self._own_requests.responded(flow, response)

    def link_down(self, flow: Flow) -> None:
        """A link has closed."""
        self._own_requests.link_down(flow)

    def sweep(self) -> None:
        """Handle every deadline that has passed; called about twice a second."""
        self._own_requests.sweep()
        self.storing.sweep()
        self.delivery.sweep()
        now = self._clock()
        if now >= self._look_at:
            self._look_at = now + LOOK_EVERY_S
            before, self._stored_since = self._stored_since, set()
            self._queue.submit(counts(), lambda waiting: self._looked(waiting, before), only_reads=True)
        if now >= self._expire_at:
            self._expire_at = now + EXPIRE_EVERY_S
            self._queue.submit(expire(), _ignore)

    def _looked(self, waiting: dict[str, int] | None, before: set[str]) -> None:
        """Take over who has messages; *before* are those who got one before the database was looked at."""
        if waiting is None:
            self._stored_since |= before
            return
        self._waiting = waiting
        self.delivery.look(waiting)
        gone = [aor for aor in waiting if self._homes.knows(aor) and self._homes.of(aor) is None]
        if gone:
            self._queue.submit(forget_users(gone), _ignore)

    def close(self) -> None:
        """Leave what is not delivered to others, and close the database."""
        self.delivery.close()
        self._queue.close()

    def store_failing(self, problem: OperatorError) -> None:
        """The database cannot be used: messages to users who are not registered are refused."""
        self._log.error("messages cannot be stored", why=str(problem))

    def store_working(self) -> None:
        """The database can be used again."""
        self._log.info("messages can be stored again")


def message_limits(view: ServerView) -> MessageLimits:
    """Give the limits that the topology sets."""
    asked = view.loaded.topology.messages
    return MessageLimits(asked.per_user, asked.per_sender, asked.lifetime_days * DAY_S)


def _ignore(_: object) -> None:
    """Take a result that nobody needs."""
