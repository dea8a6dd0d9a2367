"""The notifier: the subscribed servers, the items that each of them has, and the status of each."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Protocol

from sipmesh.distribution.event import EVENT, EXPIRES_S, ITEM, JSON, TRACE_EVENT, Here, SubscriptionDialog, event_of
from sipmesh.distribution.items import ItemKind, ReplicationState
from sipmesh.distribution.report_budget import PERIOD_S, ReportBudget
from sipmesh.errors import RemoteError
from sipmesh.sip.message import Request, Response, respond
from sipmesh.sip.status import FIRST_REDIRECTION
from sipmesh.sip.text import quote
from sipmesh.strict_json import read_json

if TYPE_CHECKING:
    from sipmesh.distribution.items import Item, Key
    from sipmesh.transport.link.link import Link
    from sipmesh.trust.trusted_peer import TrustedPeer

LONGEST_STATUS = 1 << 20

MOST_QUEUED = 1 << 20
"""Octets that wait in a link before parts of the users wait here; a link closes at 16 MiB, and a part has 1 MB."""


class Shelf(Protocol):
    """The source of the items."""

    def state(self, peer: TrustedPeer) -> ReplicationState:
        """Give the state for *peer*: number and digest of each item that it may have."""

    def items(self, peer: TrustedPeer) -> Iterable[Item]:
        """Give all items for *peer*, urgent items first; without the users, which have their own numbers."""


class UserShelf(Protocol):
    """The source of the users; only management has them."""

    def users(self, peer: TrustedPeer, since: int) -> Iterable[Item]:
        """Give the changes of the users of *peer* since the version *since*, in order; all users if it is 0."""


@dataclass(slots=True)
class Subscription:
    """The subscription of one server on *link*. *has* are the digests of the items that it was sent.

    *users* is the number of the users that it was sent, with the parts that are *waiting*. *accepted_users* is the number that
    it has accepted. *unanswered* are the numbers of the sent parts without a response, by CSeq. *refused_users*: it has
    refused a part since then.
    """

    link: Link
    peer: TrustedPeer
    dialog: SubscriptionDialog
    has: dict[Key, str] = field(default_factory=dict)
    users: int = 0
    waiting: deque[Item] = field(default_factory=deque)
    accepted_users: int = 0
    unanswered: dict[int, int] = field(default_factory=dict)
    refused_users: bool = False
    last_state: ReplicationState | None = None


class Notifier:
    """Sends the items of the *shelf* to the servers that may have them, and the items of the shelf of *users*, if any.

    *on_status* processes the status of a server, and *on_trace* the messages that it has traced. Each returns an error text, or
    "" if the document is valid. *time* gives the seconds of a monotonic clock.
    """

    def __init__(
        self,
        here: Here,
        shelf: Shelf,
        on_status: Callable[[TrustedPeer, Mapping[str, Any]], str],
        on_trace: Callable[[TrustedPeer, Mapping[str, Any]], str],
        time: Callable[[], float],
        users: UserShelf | None = None,
    ) -> None:
        self._here, self._shelf, self._users = here, shelf, users
        self._on_status, self._on_trace = on_status, on_trace
        self._budget = ReportBudget(time)
        self._subscriptions: dict[Link, Subscription] = {}

    @property
    def subscribers(self) -> list[str]:
        """The names of the subscribed servers."""
        return sorted(subscription.peer.name for subscription in self._subscriptions.values())

    def subscribed(self, link: Link, peer: TrustedPeer, request: Request, *, stays: bool) -> None:
        """Answer a SUBSCRIBE and send the state. If *stays* is false, it is a single fetch (RFC 6665 4.4.3)."""
        state = ReplicationState.decode(request.body)
        tag = request.from_.tag or ""
        ours = self._here.token()
        seconds = EXPIRES_S if stays and request.expires != 0 else 0
        headers = (("expires", str(seconds)), ("contact", f"<{self._here.uri};transport=tls>"))
        link.send(respond(request, 200, headers=headers, to_tag=ours).encode())
        subscription = Subscription(
            link, peer, SubscriptionDialog(request.call_id, request.to.tag or ours, tag, peer.name)
        )
        if not seconds:
            self._tell(subscription, ended=True)
            return
        before = self._subscriptions.get(link)
        if before is not None and request.to.tag == before.dialog.local:
            self._tell(before)  # a refresh
            return
        subscription.has = {key: digest for key, (_, digest) in state.held.items()}
        subscription.users = subscription.accepted_users = state.users
        self._subscriptions[link] = subscription
        self._tell(subscription)
        self._give(subscription)

    def gone(self, link: Link) -> None:
        """Remove the subscription of a link that was closed."""
        self._subscriptions.pop(link, None)

    def changed(self) -> None:
        """Send the new state to all subscribers, and the items that they do not have."""
        for subscription in list(self._subscriptions.values()):
            self._tell(subscription)
            self._give(subscription)

    def again(self, server: str) -> None:
        """Send the topology to *server* again: the server has refused it for a reason that may be gone."""
        for subscription in self._subscriptions.values():
            if subscription.peer.name == server:
                subscription.has.pop((ItemKind.TOPOLOGY, ""), None)
                self._give(subscription)

    def send_once(self, server: str, item: Item) -> bool:
        """Send *item*, which is in no state, to *server*; returns whether it has subscribed."""
        found = [subscription for subscription in self._subscriptions.values() if subscription.peer.name == server]
        for subscription in found[:1]:
            self._hand_over(subscription, item)
        return bool(found)

    def use_topology(self, peers: Callable[[str], TrustedPeer | None]) -> None:
        """Use another topology. *peers* finds a server in it; a server that is not in it loses its subscription."""
        for link, subscription in list(self._subscriptions.items()):
            peer = peers(subscription.peer.name)
            if peer is None:
                del self._subscriptions[link]
            else:
                subscription.peer = peer

    def published(self, link: Link, peer: TrustedPeer, request: Request) -> Response:
        """Process the status that a server publishes on the link of its subscription (RFC 3903 section 6)."""
        if link not in self._subscriptions:
            return respond(request, 403, headers=(("Warning", f'399 {self._here.name} "subscribe first"'),))
        if len(request.body) > LONGEST_STATUS:
            return respond(request, 413)
        is_trace = event_of(request) == TRACE_EVENT
        if not is_trace and not self._budget.admits(peer.name, len(request.body)):
            if self._budget.is_flood(peer.name):
                link.close("reports without end")
            return respond(request, 503, headers=(("Retry-After", str(int(PERIOD_S))),))
        try:
            status = read_json(request.body)
        except (ValueError, RecursionError):
            status = None
        if not isinstance(status, dict):
            raise RemoteError("a document that cannot be read", rule=f"event package {event_of(request)}")
        received = self._on_trace if is_trace else self._on_status
        if fault := received(peer, status):
            return respond(request, 400, headers=(("Warning", f"399 {self._here.name} {quote(fault)}"),))
        return respond(request, 200, headers=(("SIP-ETag", self._here.token()), ("Expires", str(EXPIRES_S))))

    def _tell(self, subscription: Subscription, *, ended: bool = False) -> None:
        state = self._shelf.state(subscription.peer)
        if (
            subscription.last_state is not None
            and not ended
            and replace(state, at=subscription.last_state.at) == subscription.last_state
        ):
            return
        subscription.last_state = state
        self._notify(subscription, (), state.encode(), JSON, ended=ended)

    def _give(self, subscription: Subscription) -> None:
        """Send the items that a server does not have. Newer CRLs come before the topology, whose signer is checked with them.

        A CRL that is new to the server comes after the topology: the topology that the server has does not name it.
        """
        items = list(self._shelf.items(subscription.peer))
        new = [item for item in items if item.kind is ItemKind.LIST and item.key not in subscription.has]
        for item in (*(item for item in items if item not in new), *new):
            if subscription.has.get(item.key) != item.digest:
                subscription.has[item.key] = item.digest
                self._hand_over(subscription, item)
        if self._users is None:
            return
        for item in self._users.users(subscription.peer, subscription.users):
            subscription.users = item.number
            subscription.waiting.append(item)
        self._send_waiting(subscription)

    def responded(self, link: Link, response: Response) -> None:
        """The server on *link* has answered a NOTIFY: note whether it has accepted users, and send it more parts of them."""
        subscription = self._subscriptions.get(link)
        if subscription is None or response.call_id != subscription.dialog.call_id:
            return
        number = subscription.unanswered.pop(response.cseq.number, None)
        if number is not None:
            self._users_answered(subscription, number, is_accepted=response.status < FIRST_REDIRECTION)
        self._send_waiting(subscription)

    def _users_answered(self, subscription: Subscription, number: int, *, is_accepted: bool) -> None:
        """Note the response to one part of the users with this *number*; they are accepted with their last part."""
        if not is_accepted:
            subscription.refused_users = True
        elif not subscription.refused_users:
            open_parts = {*subscription.unanswered.values(), *(item.number for item in subscription.waiting)}
            if number not in open_parts:
                subscription.accepted_users = number

    def with_users(self, number: int) -> frozenset[str]:
        """Return the servers that have accepted the users of *number* or of a later number."""
        return frozenset(
            subscription.peer.name
            for subscription in self._subscriptions.values()
            if subscription.accepted_users >= number
        )

    def beyond_users(self, number: int) -> dict[str, int]:
        """Return the servers that say they have users of a later number than *number*, with that number."""
        return {
            subscription.peer.name: subscription.accepted_users
            for subscription in self._subscriptions.values()
            if subscription.accepted_users > number
        }

    def give_users_again(self) -> None:
        """Send users again to each server that refused them, from what it has accepted: the reason may be gone."""
        for subscription in list(self._subscriptions.values()):
            if subscription.refused_users:
                subscription.refused_users, subscription.users = False, subscription.accepted_users
                subscription.waiting.clear()
                subscription.unanswered.clear()
                self._give(subscription)

    def tick(self) -> None:
        """Send more parts of the users, where a link has written the earlier parts; called about twice a second."""
        for subscription in list(self._subscriptions.values()):
            self._send_waiting(subscription)

    def _send_waiting(self, subscription: Subscription) -> None:
        """Send parts of the users as long as little waits in the link: the users of a large pool exceed its write queue."""
        while subscription.waiting and subscription.link.pending_out < MOST_QUEUED:
            item = subscription.waiting.popleft()
            self._hand_over(subscription, item)
            subscription.unanswered[subscription.dialog.cseq] = item.number

    def _hand_over(self, subscription: Subscription, item: Item) -> None:
        self._notify(subscription, ((ITEM, item.header),), item.body, item.kind.content_type)

    def _notify(
        self,
        subscription: Subscription,
        headers: tuple[tuple[str, str], ...],
        body: bytes,
        of: str,
        *,
        ended: bool = False,
    ) -> None:
        state = "terminated;reason=timeout" if ended else f"active;expires={EXPIRES_S}"
        fixed = (("event", EVENT), ("subscription-state", state))
        subscription.link.send_or_close(
            self._here.next("NOTIFY", subscription.dialog, [*fixed, *headers], body, of).encode()
        )
