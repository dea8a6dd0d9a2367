"""A notifier and a subscriber, joined by handing the bytes of one to the other."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from sipmesh.distribution.event import Here
from sipmesh.distribution.items import Item, ItemKind, ReplicationState
from sipmesh.distribution.notifier import Notifier
from sipmesh.distribution.subscriber import Subscriber
from sipmesh.errors import RemoteError
from sipmesh.sip.message import Request, Response, respond
from sipmesh.trust.authority import Authority
from sipmesh.trust.revocation.crl_set import RevocationLists
from sipmesh.trust.role import Role
from sipmesh.trust.trusted_peer import TrustedPeer
from support.wires import Wire

MGMT, FE1 = "mgmt.example.test", "fe1.example.test"
AT = "2026-11-24T12:00:00+00:00"
PEER = TrustedPeer(
    FE1,
    Role.FRONT_END,
    "pool1.example.test",
    frozenset({FE1}),
    frozenset({FE1}),
    frozenset(),
    Authority("Example", (), RevocationLists()),
)
TOPOLOGY = Item(ItemKind.TOPOLOGY, b"version 1", number=1)
LIST = Item(ItemKind.LIST, b"list", "ca/issuing.crl")
REVOKED = Item(ItemKind.REVOKED, b"serials", number=1)

_count = itertools.count(1)


def here(name: str) -> Here:
    """One end, with tokens that are never the same and that a test can read."""
    return Here(name, "127.0.0.1:5062", lambda: f"{name.partition('.')[0]}-{next(_count)}")


@dataclass
class Documents:
    """What there is to give: a shelf that a test fills."""

    given: list[Item] = field(default_factory=list)
    of_users: list[Item] = field(default_factory=list)

    def state(self, _peer: TrustedPeer) -> ReplicationState:
        """Number and digest of everything."""
        held = {item.key: (item.number, item.digest) for item in (*self.given, *self.of_users)}
        return ReplicationState(held, AT, max((item.number for item in self.given), default=0))

    def items(self, _peer: TrustedPeer) -> Iterable[Item]:
        """Everything but the users."""
        return self.given

    def users(self, _peer: TrustedPeer, since: int) -> Iterable[Item]:
        """What has changed of the users since a number."""
        return [item for item in self.of_users if item.number > since]


@dataclass
class Ends:
    """Management and one server, the two ends of one link, and what each of them has got from the other."""

    documents: Documents = field(default_factory=Documents)
    holds: ReplicationState = field(default_factory=lambda: ReplicationState({}, AT))
    items: list[Item] = field(default_factory=list)
    states: list[ReplicationState] = field(default_factory=list)
    statuses: list[Mapping[str, Any]] = field(default_factory=list)
    answers: list[Response] = field(default_factory=list)
    fault: str = ""
    refuses: bool = False  # the server refuses each item
    now: float = 0.0
    to_server: Wire = field(default_factory=Wire)
    to_management: Wire = field(default_factory=Wire)

    def __post_init__(self) -> None:
        self.settled: list[object] = []
        self.notifier = Notifier(
            here(MGMT), self.documents, self._heard, lambda _peer, _traced: "", lambda: 0.0, self.documents
        )
        self.subscriber = Subscriber(
            here(FE1),
            lambda: self.holds,
            lambda _link, _peer, state: self.states.append(state),
            self._item,
            self.settled.append,
            lambda: self.now,
        )

    def _item(self, _peer: str, item: Item) -> None:
        if self.refuses:
            raise RemoteError("an item that is refused", rule="a test", status=488)
        self.items.append(item)

    def _heard(self, _peer: TrustedPeer, status: Mapping[str, Any]) -> str:
        self.statuses.append(status)
        return self.fault

    def subscribe(self, *, stays: bool = True) -> None:
        """Have the server subscribe, and hand over all that follows."""
        self.subscriber.subscribe(self.to_management.link, MGMT, stays=stays)
        self.exchange()

    def exchange(self) -> None:
        """Hand over what each end has sent until neither sends anything more."""
        while self.to_management.sent or self.to_server.sent:
            for message in self.to_management.taken():
                self._at_management(message)
            for message in self.to_server.taken():
                self._at_server(message)

    def _at_management(self, message: Request | Response) -> None:
        if isinstance(message, Response):
            self.answers.append(message)
            self.notifier.responded(self.to_server.link, message)
        elif message.method == "SUBSCRIBE":
            stays = message.expires != 0
            self.notifier.subscribed(self.to_server.link, PEER, message, stays=stays)
        else:
            self.to_server.send(self.notifier.published(self.to_server.link, PEER, message).encode())

    def _at_server(self, message: Request | Response) -> None:
        if isinstance(message, Request):
            try:
                answer = self.subscriber.notified(self.to_management.link, message)
            except RemoteError as wrong:
                answer = respond(message, wrong.status)
            self.to_management.send(answer.encode())
        else:
            self.answers.append(message)
            self.subscriber.responded(self.to_management.link, message)
