"""The notifier (RFC 6665 section 4.2): subscriptions to our users, and the NOTIFYs to their subscribers.

One server of a pool is the notifier of a user, and has all publications and subscriptions of that user in memory
(`notifier_choice`). When it ends, phones subscribe and publish again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet
from hashlib import blake2b
from typing import TYPE_CHECKING, Final

from sipmesh.routing.events.message_summary import merged, of_texts, write_summary
from sipmesh.routing.events.packages import ALLOW_EVENTS, MESSAGE_HISTORY, MESSAGE_SUMMARY, PRESENCE, REG, UA_PROFILE
from sipmesh.routing.events.pidf import compose
from sipmesh.routing.events.reginfo import reginfo
from sipmesh.routing.events.subscribe import NO_SUBSCRIPTION, decide_publish, decide_subscribe
from sipmesh.routing.identity.dialog_token import owner_hash
from sipmesh.routing.outcome import DRAINING, Answer, try_later
from sipmesh.routing.proxy.effects import Start
from sipmesh.routing.target import FlowTarget, Found, ServerTarget
from sipmesh.server.proxy.due_times import DueTimes
from sipmesh.server.proxy.events.own_requests import NO_ANSWER
from sipmesh.server.proxy.events.subscription import EventSubscription, dialog_octets
from sipmesh.server.proxy.events.subscription_places import SubscriptionPlaces
from sipmesh.server.proxy.events.summaries import Summaries
from sipmesh.server.proxy.events.watched_user import WatchedUser
from sipmesh.sip.message import Request, Response, respond
from sipmesh.sip.status import FIRST_REDIRECTION, OK, Status
from sipmesh.topology.document.watching import Watching

if TYPE_CHECKING:
    from sipmesh.routing.events.packages import Package
    from sipmesh.routing.proxy.forwarding import ListenerAddress
    from sipmesh.routing.registrar.binding import Binding
    from sipmesh.server.in_force.address_rules import AddressRules
    from sipmesh.server.proxy.events.own_documents import OwnDocuments
    from sipmesh.server.proxy.events.own_requests import OwnRequests
    from sipmesh.server.proxy.events.publications import Publications
    from sipmesh.server.proxy.flow import Flow
    from sipmesh.server.proxy.flow_table import FlowTable
    from sipmesh.server.proxy.registrar.registrations import Registrations
    from sipmesh.server.quotas.principals import Principals

MOST_DIALOG_OCTETS: Final = 4_096
"""What is kept of a SUBSCRIBE: its dialog, its route and its Contact."""

READ_S: Final = 5.0
"""How long a subscription waits for what its database is to give."""

LOOKED_AT: Final = 2_000
"""Users whose bindings are looked at in one go: it takes some milliseconds."""

FULL: Final = try_later("too many subscriptions", after_s="60")
TOO_LARGE: Final = Answer(Status.MESSAGE_TOO_LARGE, why="the dialog of a SUBSCRIBE is too large to be kept")

Composed = dict[bool, tuple[bytes, bytes]]
"""Presence documents of one user, each with its hash: for subscribers who are politely blocked (True), and for others."""


class EventNotifier:
    """The subscriptions that one server keeps.

    *rules* say whose an address is, and what a user lets a watcher see. *own* has the documents that only the
    user gets. *token* gives an unpredictable text, *clock* seconds of the loop.
    """

    def __init__(
        self,
        flow_table: FlowTable,
        own_requests: OwnRequests,
        registrations: Registrations,
        publications: Publications,
        listeners: dict[str, ListenerAddress],
        rules: AddressRules,
        accounts: Principals,
        own: OwnDocuments,
        token: Callable[[], str],
        clock: Callable[[], float],
    ) -> None:
        self._flow_table, self._own_requests, self._registrations = flow_table, own_requests, registrations
        self._publications, self._listeners = publications, listeners
        self._rules, self._own, self._summaries = rules, own, Summaries()
        self._token, self._clock = token, clock
        self.places = SubscriptionPlaces(rules.partner_of, accounts.watcher)
        self._by_tag: dict[str, EventSubscription] = {}
        self._users: dict[str, WatchedUser] = {}
        self._by_watcher: dict[str, dict[str, EventSubscription]] = {}
        self._devices: dict[str, frozenset[str]] = {}  # of each watcher of our pool, as they were looked at last
        self._asked: set[str] = set()  # users whose bindings are being read
        self._due: DueTimes[EventSubscription] = DueTimes()
        self._round: list[str] = []
        self._is_draining = False

    def __len__(self) -> int:
        return len(self._by_tag)

    @property
    def mailboxes(self) -> Counter[str]:
        """Of how many users each address of an application says how many messages wait."""
        return self._summaries.mailboxes

    @property
    def publications(self) -> int:
        """How many documents are published."""
        return len(self._publications)

    # Requests

    def serve(self, flow: Flow, request: Request, aor: str, identity: str | None) -> Response | Answer:
        """Answer a SUBSCRIBE, PUBLISH or message summary for *aor* of *identity*; a NOTIFY that follows comes after it."""
        if request.method == "PUBLISH":
            return self._publish(request, aor, identity)
        if request.method == "NOTIFY":
            return self._summaries.take(request, aor, identity or "")
        if request.to.tag is not None:
            return self._refresh(flow, request, identity)
        return self._subscribe(flow, request, aor, identity)

    def _subscribe(self, flow: Flow, request: Request, aor: str, identity: str | None) -> Response | Answer:
        """Begin a subscription. While this server drains, a SUBSCRIBE comes here that another server has not answered."""
        if self._is_draining:
            return DRAINING
        watching = self.watching(aor, identity or "")
        granted = decide_subscribe(request, aor, identity, watching)
        if isinstance(granted, Answer):
            return granted
        if dialog_octets(request) > MOST_DIALOG_OCTETS:
            return TOO_LARGE
        if self.places.is_full(aor, identity or ""):
            return FULL
        if refused := self._own.refused(granted.package, aor, request.first("event") or ""):
            return refused
        subscription = EventSubscription(request, aor, identity or "", granted.package, self._token(), flow)
        subscription.principal = self.places.principal_of(subscription.watcher)
        subscription.is_polite = watching is Watching.POLITE_BLOCK
        self._add(subscription)
        return self._granted(request, subscription, granted.expires_s)

    def answered(self, request: Request, aor: str, response: Response | Answer) -> None:
        """Send the notifications that follow from an answered request for *aor*. Its sender has its response by now."""
        if request.method == "PUBLISH":
            if changes_state(request, response):
                self._changed(aor, (PRESENCE,))
        elif request.method == "NOTIFY":
            self._changed(aor, (MESSAGE_SUMMARY,))
        elif isinstance(response, Response):
            self._subscribed(self._by_tag.get(response.to.tag or ""))

    def _subscribed(self, subscription: EventSubscription | None) -> None:
        """Send the NOTIFY that follows a SUBSCRIBE which was granted (RFC 6665 section 4.2.1.2), once the bindings are known."""
        if subscription is None:
            return
        if subscription.package is MESSAGE_HISTORY:
            self._own.read(subscription.aor, subscription.event, lambda body: self._tell_history(subscription, body))
            return
        self._registrations.look_up(subscription.aor, lambda rows: self._tell_first(subscription, rows))
        if not subscription.device and self._rules.is_ours(subscription.watcher):
            self._registrations.look_up(subscription.watcher, subscription.find_device)

    def _tell_first(self, subscription: EventSubscription, rows: Sequence[Binding] | None) -> None:
        self._found(subscription.aor, rows)
        if subscription.ends <= self._clock():
            self._end(subscription, "timeout")
        elif subscription.tag in self._by_tag and not subscription.unanswered:
            self._notify(subscription, is_forced=True)

    def _tell_history(self, subscription: EventSubscription, body: bytes) -> None:
        """End a subscription with what was read for it."""
        subscription.document = body
        self._end(subscription, "timeout")

    def _publish(self, request: Request, aor: str, identity: str | None) -> Answer:
        granted = decide_publish(request, aor, identity)
        if isinstance(granted, Answer):
            return granted
        return self._publications.publish(request, aor, granted)

    def _refresh(self, flow: Flow, request: Request, identity: str | None) -> Response | Answer:
        """Refresh or end a subscription; only its watcher can (RFC 6665 section 4.2.1.4)."""
        subscription = self._by_tag.get(request.to.tag or "")
        if subscription is None or subscription.package.is_once or not subscription.is_of(request, identity):
            return NO_SUBSCRIPTION
        if request.cseq.number <= subscription.remote_cseq:
            return Answer(500, "CSeq Out Of Order")
        watching = self.watching(subscription.aor, subscription.watcher)
        granted = decide_subscribe(request, subscription.aor, identity, watching)
        if isinstance(granted, Answer):
            if granted.status == Status.FORBIDDEN:
                self._end(subscription, "rejected")
            return granted
        subscription.is_polite = watching is Watching.POLITE_BLOCK
        if dialog_octets(request) > MOST_DIALOG_OCTETS:
            return TOO_LARGE
        subscription.refreshed(request, flow, self._flow_table.view.pool_mates)
        return self._granted(request, subscription, granted.expires_s)

    def _granted(self, request: Request, subscription: EventSubscription, expires_s: int) -> Response:
        """Answer 200. Our Record-Route leads later requests to this server of the pool, from any other server."""
        subscription.ends = self._clock() + (READ_S if subscription.package is MESSAGE_HISTORY else expires_s)
        self._due.put(subscription, subscription.ends)
        here = self._listeners[subscription.flow.link.port]
        headers = [
            ("record-route", f"<sip:{here.sent_by};transport={here.transport};lr>"),
            *(("record-route", route) for route in request.items("record-route")),
            ("expires", str(expires_s)),
            ("contact", f"<{subscription.aor};transport=tls>"),
            ("allow-events", ALLOW_EVENTS),
        ]
        return respond(request, 200, headers=headers, to_tag=subscription.tag)

    def _add(self, subscription: EventSubscription) -> None:
        self._by_tag[subscription.tag] = subscription
        self._users.setdefault(subscription.aor, WatchedUser()).subscriptions.append(subscription)
        self._by_watcher.setdefault(subscription.watcher, {})[subscription.tag] = subscription
        self.places.add(subscription.principal, subscription.watcher, subscription.aor)

    def _remove(self, subscription: EventSubscription) -> None:
        if self._by_tag.pop(subscription.tag, None) is None:
            return
        self._due.discard(subscription)
        mine = self._by_watcher[subscription.watcher]
        del mine[subscription.tag]
        if not mine:
            del self._by_watcher[subscription.watcher]
            self._devices.pop(subscription.watcher, None)
        user = self._users[subscription.aor]
        user.subscriptions.remove(subscription)
        if not user.subscriptions:
            del self._users[subscription.aor]
        self._free_place(subscription)

    # State

    def watching(self, aor: str, watcher: str) -> Watching:
        """Return what *watcher* may see of *aor*; users see themselves."""
        return Watching.ALLOW if watcher == aor else self._rules.watching(aor, watcher)

    def rules_changed(self, aors: frozenset[str] | None = None) -> None:
        """The rules of *aors*, or of all users, may have changed, or *aors* were removed.

        End or change the subscriptions of their watchers, and end the subscriptions to and of users who were removed, and of
        users of a partner that was removed.
        """
        for aor in list(dict.fromkeys([*self._users, *self._by_watcher])) if aors is None else self._concerned(aors):
            if not self._rules.may_exist(aor):
                self._watcher_removed(aor)
            if not self._rules.is_ours(aor):
                self.removed(aor)
                continue
            user = self._users.get(aor)
            for subscription in list(user.subscriptions) if user is not None else ():
                if subscription.package is PRESENCE:
                    self._apply_rule(subscription)
                elif subscription.package is UA_PROFILE and aors is not None:
                    self._notify(subscription)

    def _concerned(self, aors: frozenset[str]) -> set[str]:
        """Return those of *aors* of whom there is state here: of 100,000 users who change at once, most have none."""
        return {
            *among(aors, self._users.keys()),
            *among(aors, self._by_watcher.keys()),
            *among(aors, self._publications.users()),
            *among(aors, self._summaries.users()),
        }

    def _watcher_removed(self, watcher: str) -> None:
        """End all subscriptions of a watcher who does not exist any more."""
        for subscription in list(self._by_watcher.get(watcher, {}).values()):
            self._end(subscription, "rejected")

    def _apply_rule(self, subscription: EventSubscription) -> None:
        watching = self.watching(subscription.aor, subscription.watcher)
        if watching is Watching.BLOCK:
            self._end(subscription, "rejected")
        elif subscription.is_polite is not (watching is Watching.POLITE_BLOCK):
            subscription.is_polite = watching is Watching.POLITE_BLOCK
            self._notify(subscription)

    def waiting(self, aor: str, count: int) -> None:
        """So many messages wait for *aor*."""
        user = self._users.get(aor)
        if user is not None and user.waiting != count:
            user.waiting = count
            self._changed(aor, (MESSAGE_SUMMARY,))

    def watched(self, package: Package) -> list[str]:
        """Give the users who have subscriptions to *package*."""
        return [aor for aor, user in self._users.items() if any(one.package is package for one in user.subscriptions)]

    def _look(self, aor: str) -> None:
        """Compare the bindings of a user with those that were seen last; read them first if they have changed."""
        rows = self._registrations.bindings(aor, self._clock())
        if rows is not None:
            self._found(aor, rows)
        elif aor not in self._asked:
            self._asked.add(aor)
            self._registrations.look_up(aor, lambda found: self._found(aor, found))

    def _found(self, aor: str, rows: Sequence[Binding] | None) -> None:
        self._asked.discard(aor)
        if rows is None:
            return
        self._publications.seen(aor, is_there=bool(rows))
        if aor in self._by_watcher:
            self._follow_devices(aor, rows)
        user = self._users.get(aor)
        seen = tuple((row.key.name, row.token) for row in rows)
        if user is None or seen == user.seen:
            return
        user.rows, user.seen = list(rows), seen
        self._changed(aor, (PRESENCE, REG))

    def _follow_devices(self, watcher: str, rows: Sequence[Binding]) -> None:
        """End the subscriptions of the phones of *watcher* that are no longer registered, also if their links stay."""
        devices = frozenset(row.key.name for row in rows)
        if devices == self._devices.get(watcher):
            return
        self._devices[watcher] = devices
        for subscription in list(self._by_watcher[watcher].values()):
            if subscription.device and subscription.device not in devices:
                self._end(subscription, "timeout")

    def _changed(self, aor: str, packages: Sequence[Package]) -> None:
        """Tell the subscribers; a presence document is composed once for all of them."""
        user, composed = self._users.get(aor), Composed()
        for subscription in list(user.subscriptions) if user is not None else ():
            if subscription.package in packages:
                self._notify(subscription, composed)

    def _body(self, subscription: EventSubscription) -> bytes:
        if subscription.package is MESSAGE_HISTORY:
            return subscription.document
        own = self._own.document(subscription.package, subscription.aor, subscription.event, subscription.login)
        if own is not None:
            return own
        user = self._users.get(subscription.aor)
        rows = user.rows if user is not None else ()
        if subscription.package is REG:
            return reginfo(subscription.aor, rows, subscription.version)
        if subscription.package is MESSAGE_SUMMARY:
            texts = of_texts(user.waiting if user is not None else 0)
            return write_summary(subscription.aor, merged([texts, *self._summaries.of(subscription.aor)]))
        if subscription.is_polite:
            return compose(subscription.aor, (), is_there=False)
        return compose(subscription.aor, self._publications.documents(subscription.aor), is_there=bool(rows))

    # NOTIFY

    def _state(self, subscription: EventSubscription, composed: Composed) -> tuple[bytes, bytes]:
        """Give the body and its hash, from *composed* if another subscriber sees the same document."""
        found = composed.get(subscription.is_polite) if subscription.package is PRESENCE else None
        if found is None:
            body = self._body(subscription)
            found = body, blake2b(body, digest_size=16).digest()
            if subscription.package is PRESENCE:
                composed[subscription.is_polite] = found
        return found

    def _notify(
        self, subscription: EventSubscription, composed: Composed | None = None, *, is_forced: bool = False
    ) -> None:
        """Send the state in a NOTIFY once the NOTIFY before has an answer. An equal state is sent once only.

        *composed* are the presence documents of the same change that are composed already.
        """
        if subscription.unanswered:
            subscription.is_dirty = True
            return
        body, digest = self._state(subscription, Composed() if composed is None else composed)
        if digest == subscription.last_body and not is_forced:
            return
        subscription.last_body = digest
        subscription.version += 1
        left_s = max(1, int(subscription.ends - self._clock()))
        self._send(subscription, f"active;expires={left_s}", body)

    def _send(self, subscription: EventSubscription, state: str, body: bytes) -> None:
        flow = self._flow_to(subscription)
        if flow is None:
            self._remove(subscription)
            return
        request = subscription.notify(state, body)
        subscription.unanswered += 1

        def answered(status: int) -> None:
            subscription.unanswered -= 1
            if status != NO_ANSWER or not self._send_past(subscription, state, body):
                self._answered(subscription, status)

        self._own_requests.send(flow, request, answered)

    def _send_past(self, subscription: EventSubscription, state: str, body: bytes) -> bool:
        """Send a NOTIFY without the server of our pool that has not forwarded it; False if there is no other way."""
        if not subscription.pass_by(self._flow_table.view.pool_mates) or self._flow_to(subscription) is None:
            return False
        self._send(subscription, state, body)
        return True

    def _flow_to(self, subscription: EventSubscription) -> Flow | None:
        """Find the link to the watcher: that of its phone, the newest one of the same user, or that of the next server."""
        uri = subscription.contact
        if subscription.peer:
            kind = subscription.flow.link.kind
            return self._flow_table.find(Start(0, ServerTarget((subscription.peer,), kind, uri), subscription.peer))
        owner = owner_hash(subscription.watcher)
        return self._flow_table.find(Start(0, FlowTarget(subscription.flow.number, owner, uri, found=Found.DIALOG)))

    def _answered(self, subscription: EventSubscription, status: int) -> None:
        """End the subscription if the watcher does not know it, or cannot be reached (RFC 6665 section 4.2.2)."""
        if subscription.tag not in self._by_tag:
            self._free_place(subscription)
        elif status == NO_ANSWER or status >= FIRST_REDIRECTION:
            self._remove(subscription)
        elif subscription.is_dirty:
            subscription.is_dirty = False
            self._notify(subscription)

    def _free_place(self, subscription: EventSubscription) -> None:
        """Stop counting a subscription that has ended, once no NOTIFY of it waits for an answer."""
        if not subscription.unanswered:
            self.places.remove(subscription.principal, subscription.watcher, subscription.aor)

    def _end(self, subscription: EventSubscription, reason: str) -> None:
        """Tell the watcher that the subscription has ended, and why (RFC 6665 section 4.1.3)."""
        if subscription.tag not in self._by_tag:
            return
        has_body = reason == "timeout" and subscription.package is not UA_PROFILE
        body = self._body(subscription) if has_body else b""
        subscription.version += 1
        self._send(subscription, f"terminated;reason={reason}", body)
        self._remove(subscription)

    # Links and timers

    def link_down(self, flow: Flow) -> None:
        """A watcher's link has closed. Its subscriptions stay if it has come back on another link before."""
        for user in flow.users:
            for subscription in list(self._by_watcher.get(user, {}).values()):
                if subscription.flow is flow and self._flow_to(subscription) is None:
                    self._remove(subscription)

    def sweep(self) -> None:
        """End what has expired, and look for changes; called about twice a second."""
        for subscription in self._due.due(self._clock()):
            self._end(subscription, "timeout")
        for aor in self._publications.expire():
            self._changed(aor, (PRESENCE,))
        if not self._round:
            known = (*self._users, *self._by_watcher, *self._publications.users(), *self._summaries.users())
            self._round = list(dict.fromkeys(known))
        now_due, self._round = self._round[:LOOKED_AT], self._round[LOOKED_AT:]
        for aor in now_due:
            if self._rules.is_ours(aor):
                self._look(aor)
            else:
                self.removed(aor)

    def removed(self, aor: str) -> None:
        """*aor* is no user any more: it has no watchers."""
        self._end_all_of(aor, "noresource")

    def moved(self, aor: str) -> None:
        """Another server is the notifier of *aor* now: the watchers subscribe there, and the phones publish there."""
        self._end_all_of(aor, "deactivated")

    def _end_all_of(self, aor: str, reason: str) -> None:
        """End the subscriptions to *aor*, and forget what it has published."""
        self._publications.forget(aor)
        self._summaries.forget(aor)
        user = self._users.get(aor)
        for subscription in list(user.subscriptions) if user is not None else ():
            self._end(subscription, reason)

    def users(self) -> list[str]:
        """Give the users who have subscriptions here."""
        return list(self._users)

    def drain(self) -> None:
        """End all subscriptions, and begin none: the watchers subscribe at another server (RFC 6665 section 4.1.3)."""
        self._is_draining = True
        for subscription in list(self._by_tag.values()):
            self._end(subscription, "deactivated")


def changes_state(request: Request, response: Response | Answer) -> bool:
    """Tell whether a PUBLISH with that *response* changed the state: a refresh does not, nor a refused PUBLISH."""
    is_removal = isinstance(response, Answer) and ("Expires", "0") in response.headers
    return response.status == OK and (bool(request.body) or is_removal)


def among(some: AbstractSet[str], others: AbstractSet[str]) -> list[str]:
    """Return what is in both; the time that it takes is that of the smaller one."""
    few, many = (some, others) if len(some) < len(others) else (others, some)
    return [one for one in few if one in many]
