"""The event state of one server: its parts, built together, and what links and timers tell them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from sipmesh.routing.events.packages import (
    ABOUT_USERS,
    MESSAGE_SUMMARY,
    WITH_DIALOGS,
    base_package,
    is_for_notifier,
)
from sipmesh.routing.events.stored_message import is_storable
from sipmesh.routing.events.watcher_rules import is_unseen
from sipmesh.routing.identity.alias import name_of
from sipmesh.routing.identity.privacy import is_anonymous
from sipmesh.routing.identity.sender import ServerSender
from sipmesh.routing.outcome import Answer, Forward, Serve
from sipmesh.routing.proxy.target_set import not_registered
from sipmesh.routing.target import AnotherNotifier, ServerTarget
from sipmesh.server.proxy.events.misplaced_subscriptions import MisplacedSubscriptions
from sipmesh.server.proxy.events.notifier_choice import notifier_of
from sipmesh.storage.messages import Storing, counts, expire, forget_users
from sipmesh.topology.document.watching import Watching
from sipmesh.trust.code import Code
from sipmesh.trust.evidence import LinkKind

if TYPE_CHECKING:
    from sipmesh.errors import OperatorError
    from sipmesh.routing.identity.sender import Sender
    from sipmesh.routing.outcome import ToUser
    from sipmesh.server.in_force.in_force import Current
    from sipmesh.server.log import Log
    from sipmesh.server.proxy.events.message_delivery import MessageDelivery
    from sipmesh.server.proxy.events.message_storing import MessageStoring
    from sipmesh.server.proxy.events.notifier import EventNotifier
    from sipmesh.server.proxy.events.own_requests import OwnRequests
    from sipmesh.server.proxy.flow import Flow
    from sipmesh.server.proxy.liveness.outages import Outages
    from sipmesh.sip.message import Request, Response
    from sipmesh.storage.message_queue import MessageQueue

LOOK_EVERY_S: Final = 2.0
"""How often a server looks who has messages: those that another server has stored, or has left, and those of removed users."""

EXPIRE_EVERY_S: Final = 60.0
"""How often messages are removed that have expired; nobody gets them before."""

UNNAMED: Final = "a watcher who hides"


class EventServer:
    """The notifier, the messages that wait for users, and the requests of our own."""

    def __init__(
        self,
        queue: MessageQueue,
        own_requests: OwnRequests,
        storing: MessageStoring,
        delivery: MessageDelivery,
        notifier: EventNotifier,
        outages: Outages,
        current: Current,
        clock: Callable[[], float],
        log: Log,
    ) -> None:
        self._queue, self.own_requests, self.storing, self.delivery = queue, own_requests, storing, delivery
        self.notifier, self._outages, self._current = notifier, outages, current
        self._clock, self._log = clock, log
        self._misplaced = MisplacedSubscriptions(notifier, outages, current, clock)
        self._look_at = self._expire_at = 0.0
        self._outages_over = 0
        self._waiting: dict[str, int] = {}
        self._stored_since: set[str] = set()
        self.store_fault = ""

    def __repr__(self) -> str:
        return f"<EventServer {self.storing!r}, {self.delivery!r}>"

    def begin(self) -> None:
        """Begin: the ports are ours."""
        self._queue.begin(self)

    def served(self, request: Request, outcome: ToUser, sender: Sender | None) -> Serve | Forward | None:
        """Give a SUBSCRIBE or PUBLISH to the notifier of its user, which may be another server of this pool.

        None: it is for the phones of the user. What another server of this pool has sent here is served here.
        """
        if not is_for_notifier(request, outcome.aor, outcome.identity):
            return None
        if isinstance(sender, ServerSender) and sender.peer.pool == self._current.value.view.pool.name:
            return Serve(outcome.aor, outcome.identity)
        return self.chosen(request, AnotherNotifier(outcome.aor, outcome.identity, frozenset()))

    def chosen(self, request: Request, what: AnotherNotifier) -> Serve | Forward:
        """Give a SUBSCRIBE or PUBLISH to the notifier that is chosen without the servers that do not answer.

        If that one does not answer either, the request is decided about again without it.
        """
        down = {*self._outages.names, *what.tried}
        chosen = notifier_of(what.aor, self._current.value.view.pool.servers, down)
        if chosen in {self._current.value.view.name, ""}:
            return Serve(what.aor, what.identity)
        again = AnotherNotifier(what.aor, what.identity, what.tried | {chosen})
        target = ServerTarget((chosen,), LinkKind.SERVER, request.uri, again=again)
        return Forward((target,), what.identity)

    def refused(self, request: Request, outcome: ToUser) -> Answer | None:
        """Refuse a request by whose answer a watcher would see what it may not see of the user; None for all else.

        It is asked for requests to phones: for them, a user who blocks politely has no phone.
        """
        event = base_package(request) if request.method == "SUBSCRIBE" else ""
        watching = self._seen_by(request, outcome.aor, outcome.identity or "", event)
        if watching is Watching.BLOCK:
            needs = f": {event} needs a rule of {outcome.aor} that allows it" if event in WITH_DIALOGS else ""
            why = f"{outcome.identity} may not watch {outcome.aor}{needs}"
            return Answer(403, code=Code.FROM_NOT_ALLOWED, why=why)
        return not_registered(self._current.value.view.name) if watching is Watching.POLITE_BLOCK else None

    def _seen_by(self, request: Request, aor: str, watcher: str, event: str) -> Watching:
        """Give what the answer of a phone may tell *watcher*. Only a rule of *aor* counts for what is no package about users."""
        if event in ABOUT_USERS:
            return self._watching(aor, watcher, event)
        rule = self._current.value.homes.watcher_rule(aor, watcher) if watcher != aor and is_unseen(request) else None
        return rule or Watching.ALLOW

    def _watching(self, aor: str, watcher: str, event: str) -> Watching:
        """Give what *watcher* may see of *aor* by the package *event*; for `WITH_DIALOGS` no default of the topology counts."""
        if event in WITH_DIALOGS and watcher != aor:
            return self._current.value.homes.watcher_rule(aor, watcher) or Watching.BLOCK
        return self.notifier.watching(aor, watcher)

    def refused_notify(self, request: Request, outcome: Forward, owner: str, *, is_of_phone: bool) -> Answer | None:
        """End a subscription at a phone if its watcher may not see the user of the phone any more (481); None for all else.

        The phone removes a subscription whose NOTIFY gets 481 (RFC 6665 section 4.2.2). *owner* is the user whose phone here gets
        the NOTIFY, "" if none does. *is_of_phone*: it came from a phone, and not from another server.

        A watcher who hides has no name in To. So the server of our pool with the link of the watcher looks; for a watcher of
        another pool or of a partner nobody can, so it is told nothing by a user who hides from somebody (rule R12).
        """
        identity, event = outcome.identity, base_package(request)
        if identity is None or event not in ABOUT_USERS:
            return None
        if is_anonymous(request.to):
            watcher = self._hidden_watcher(identity, outcome, owner, event)
        else:
            watcher = self._named_watcher(request) if is_of_phone else ""
        if not watcher or (watcher != UNNAMED and self._watching(identity, watcher, event) is Watching.ALLOW):
            return None
        return Answer(481, code=Code.FROM_NOT_ALLOWED, why=f"{watcher} may not watch {identity} any more")

    def _named_watcher(self, request: Request) -> str:
        """Give the watcher in To, "" if there is none."""
        name = name_of(request.to)
        return "" if name is None else self._current.value.homes.owner_of(name.aor) or name.aor

    def _hidden_watcher(self, identity: str, outcome: Forward, owner: str, event: str) -> str:
        """Give the watcher who hides; `UNNAMED` if nobody could say who it is later on, "" if it need not be known here."""
        if self._current.value.homes.of(identity) != self._current.value.view.pool.name:
            return ""
        is_unknown = not owner and self._leaves_pool(outcome) and self._hides_from_somebody(identity, event)
        return UNNAMED if is_unknown else owner

    def _hides_from_somebody(self, aor: str, event: str) -> bool:
        """Tell whether a watcher without a name may be somebody who may not see what *event* tells of *aor*."""
        if self._current.value.homes.blocks_somebody(aor):
            return True
        return event in WITH_DIALOGS and self._watching(aor, "", event) is not Watching.ALLOW

    def _leaves_pool(self, outcome: Forward) -> bool:
        target = outcome.targets[0]
        return isinstance(target, ServerTarget) and not set(target.names) <= set(self._current.value.view.pool.servers)

    def is_to_store(self, request: Request, aor: str, *, is_registered: bool) -> bool:
        """Tell whether a MESSAGE for *aor* is to be stored: nobody is registered, or earlier ones are being delivered."""
        if is_registered and not self.delivery.is_running(aor):
            return False
        if self._current.value.homes.is_guest(aor):  # it would stay here when the home pool is back
            return False
        return self._current.value.messages.per_user > 0 and is_storable(request)

    def store(self, request: Request, aor: str, identity: str | None, done: Callable[[Storing], None]) -> None:
        """Store a MESSAGE for *aor*, who may have registered meanwhile; *done* gets what has become of it."""

        def ended(result: Storing) -> None:
            done(result)
            if result is Storing.STORED:
                self._stored_since.add(aor)
                self.delivery.start(aor)

        self.storing.store(request, aor, identity, ended)

    @property
    def messages_waiting(self) -> int:
        """How many messages were in the database when it was looked at last."""
        return sum(self._waiting.values())

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

        That comes before whatever a user of the same name, who is added next, has delivered or stored.
        """
        self.notifier.rules_changed(aors)
        self._forget_removed(aors)

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
