"""The giving side: who has subscribed, what each of them has, and what each of them says of itself."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Protocol

from sipmesh.distribution.event import EVENT, EXPIRES_S, ITEM, JSON, Here, SubscriptionDialog
from sipmesh.distribution.items import ItemKind, ReplicationState
from sipmesh.errors import RemoteError
from sipmesh.sip.message import Request, Response, respond
from sipmesh.sip.text import quote

if TYPE_CHECKING:
    from sipmesh.distribution.items import Item, Key
    from sipmesh.transport.link.link import Link
    from sipmesh.trust.trusted_peer import TrustedPeer

LONGEST_STATUS = 1 << 20


class Shelf(Protocol):
    """What there is to give."""

    def state(self, peer: TrustedPeer) -> ReplicationState:
        """Tell what there is for *peer*."""

    def items(self, peer: TrustedPeer) -> Iterable[Item]:
        """Give everything for *peer*, what is urgent first; all but the users, who go by their numbers."""


class UserShelf(Protocol):
    """What there is to give of users; only management has them."""

    def users(self, peer: TrustedPeer, since: int) -> Iterable[Item]:
        """Give what has changed of the users of *peer* since it had that number, in order; all of them since 0."""


@dataclass(slots=True)
class Subscription:
    """One server that is told of everything that changes, on *link*; *has* says by digest what it was given."""

    link: Link
    peer: TrustedPeer
    dialog: SubscriptionDialog
    has: dict[Key, str] = field(default_factory=dict)
    users: int = 0
    told: ReplicationState | None = None


class Notifier:
    """Gives each subscriber what is on the *shelf* for it, and from the shelf of *users*, where there is one.

    *heard* takes what a server says of itself, and returns what is wrong with it, empty if nothing is.
    """

    def __init__(
        self,
        here: Here,
        shelf: Shelf,
        heard: Callable[[TrustedPeer, Mapping[str, Any]], str],
        users: UserShelf | None = None,
    ) -> None:
        self._here, self._shelf, self._heard, self._users = here, shelf, heard, users
        self._held: dict[Link, Subscription] = {}

    def __repr__(self) -> str:
        return f"<Notifier of {self._here.name}: {len(self._held)} subscriptions>"

    @property
    def subscribers(self) -> list[str]:
        """The names of those that are subscribed."""
        return sorted(held.peer.name for held in self._held.values())

    def subscribed(self, link: Link, peer: TrustedPeer, request: Request, *, stays: bool) -> None:
        """Answer a SUBSCRIBE and tell what there is; one that does not *stay* is a question asked once (RFC 6665 4.4.3)."""
        state = ReplicationState.decode(request.body)
        tag = request.from_.tag or ""
        ours = self._here.token()
        seconds = EXPIRES_S if stays and request.expires != 0 else 0
        headers = (("expires", str(seconds)), ("contact", f"<{self._here.uri};transport=tls>"))
        link.send(respond(request, 200, headers=headers, to_tag=ours).encode())
        held = Subscription(link, peer, SubscriptionDialog(request.call_id, request.to.tag or ours, tag, peer.name))
        if not seconds:
            self._tell(held, ended=True)
            return
        before = self._held.get(link)
        if before is not None and request.to.tag == before.dialog.local:
            self._tell(before)  # it was refreshed
            return
        link.reserved = True
        held.has, held.users = {key: digest for key, (_, digest) in state.held.items()}, state.users
        self._held[link] = held
        self._tell(held)
        self._give(held)

    def gone(self, link: Link) -> None:
        """The link is closed, and with it its subscription."""
        self._held.pop(link, None)

    def changed(self) -> None:
        """Tell everybody what there is now, and give them what they lack."""
        for held in list(self._held.values()):
            self._tell(held)
            self._give(held)

    def again(self, server: str) -> None:
        """Give *server* the topology once more: it has refused it, for a reason that may be gone."""
        for held in self._held.values():
            if held.peer.name == server:
                held.has.pop((ItemKind.TOPOLOGY, ""), None)
                self._give(held)

    def take(self, peers: Callable[[str], TrustedPeer | None]) -> None:
        """Know the subscribers by another topology; one that is not in it is told nothing more."""
        for link, held in list(self._held.items()):
            peer = peers(held.peer.name)
            if peer is None:
                del self._held[link]
            else:
                held.peer = peer

    def published(self, link: Link, peer: TrustedPeer, request: Request) -> Response:
        """Take what a server says of itself, on the link of its subscription (RFC 3903 section 6)."""
        if link not in self._held:
            return respond(request, 403, headers=(("Warning", f'399 {self._here.name} "subscribe first"'),))
        if len(request.body) > LONGEST_STATUS:
            return respond(request, 413)
        try:
            told = json.loads(request.body)
        except (ValueError, RecursionError):
            told = None
        if not isinstance(told, dict):
            raise RemoteError("a status that cannot be read", rule="event package sipmesh-status")
        if fault := self._heard(peer, told):
            return respond(request, 400, headers=(("Warning", f"399 {self._here.name} {quote(fault)}"),))
        return respond(request, 200, headers=(("SIP-ETag", self._here.token()), ("Expires", str(EXPIRES_S))))

    def _tell(self, held: Subscription, *, ended: bool = False) -> None:
        state = self._shelf.state(held.peer)
        if held.told is not None and not ended and replace(state, at=held.told.at) == held.told:
            return
        held.told = state
        self._notify(held, (), state.encode(), JSON, ended=ended)

    def _give(self, held: Subscription) -> None:
        """Give what a server lacks: newer lists before the version, since its signer is judged by them.

        A list that is new to the server comes after it: no topology that the server has known so far names that.
        """
        items = list(self._shelf.items(held.peer))
        new = [item for item in items if item.kind is ItemKind.LIST and item.key not in held.has]
        for item in (*(item for item in items if item not in new), *new):
            if held.has.get(item.key) != item.digest:
                held.has[item.key] = item.digest
                self._hand_over(held, item)
        if self._users is None:
            return
        for item in self._users.users(held.peer, held.users):
            held.users = item.number
            self._hand_over(held, item)

    def _hand_over(self, held: Subscription, item: Item) -> None:
        self._notify(held, ((ITEM, item.header),), item.body, item.kind.content_type)

    def _notify(
        self,
        held: Subscription,
        headers: tuple[tuple[str, str], ...],
        body: bytes,
        of: str,
        *,
        ended: bool = False,
    ) -> None:
        standing = "terminated;reason=timeout" if ended else f"active;expires={EXPIRES_S}"
        fixed = (("event", EVENT), ("subscription-state", standing))
        held.link.send_or_close(self._here.next("NOTIFY", held.dialog, [*fixed, *headers], body, of).encode())
