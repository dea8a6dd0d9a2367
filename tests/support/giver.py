"""The giving end of a subscription in an attacker's hands: real TLS under real credentials, and what document the test wants."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from typing import Any, Self

from sipmesh.distribution.event import EVENT, ITEM, JSON
from sipmesh.distribution.items import Item, ItemKind, ReplicationState
from sipmesh.sip.message import Request, Response, build_request, respond
from sipmesh.trust.evidence import LinkKind
from support.managed import MGMT, Managed
from support.peer import Peer

_cseq = itertools.count(1)


class Giver:
    """A peer that has opened a link to a server of ours, and was asked by it for everything that management has signed."""

    def __init__(self, peer: Peer, name: str, asked: Request) -> None:
        self.peer, self.name, self.asked = peer, name, asked
        self.tag = peer.tag
        self.statuses: list[dict[str, Any]] = []

    @classmethod
    async def meet(cls, stack: AsyncExitStack, network: Managed, server: str, name: str = MGMT) -> Self:
        """Come to *server* as *name*, and take its subscription."""
        address = network.organisation.address(server, LinkKind.SERVER)
        peer = await stack.enter_async_context(await Peer.open(address, credentials=network.credentials(name)))
        asked = await peer.request_in("SUBSCRIBE")
        await peer.send(respond(asked, 200, headers=(("expires", "86400"),), to_tag=peer.tag))
        return cls(peer, name, asked)

    @property
    def held(self) -> ReplicationState:
        """What the server said that it holds."""
        return ReplicationState.decode(self.asked.body)

    def notify(
        self,
        headers: Iterable[tuple[str, str]] = (),
        body: bytes = b"",
        of: str = JSON,
        *,
        call_id: str | None = None,
        tag: str | None = None,
        to_tag: str | None = None,
    ) -> Request:
        """A NOTIFY of the subscription, but for the dialog that it names where that is given."""
        to = self.asked.from_
        fixed = [
            ("via", self.peer.via()),
            ("max-forwards", "70"),
            ("from", f"<sip:{self.name}>;tag={tag or self.tag}"),
            ("to", f"<{to.uri}>;tag={to_tag or to.tag}"),
            ("call-id", call_id or self.asked.call_id),
            ("cseq", f"{next(_cseq)} NOTIFY"),
            ("contact", f"<sip:{self.name};transport=tls>"),
            ("event", EVENT),
            ("subscription-state", "active;expires=86400"),
        ]
        return build_request("NOTIFY", to.uri, [*fixed, *headers], body, of if body else None)

    async def give(self, item: Item, **dialog: str) -> Response:
        """Give one document and wait for the answer."""
        return await self.ask(self.notify(((ITEM, item.header),), item.body, item.kind.content_type, **dialog))

    async def topology(self, jws: bytes) -> Response:
        """Give a version."""
        return await self.give(Item(ItemKind.TOPOLOGY, jws))

    async def tell(self, *items: Item, highest: int = 0) -> Response:
        """Say what there is."""
        held = {item.key: (item.number, item.digest) for item in items}
        return await self.ask(self.notify((), ReplicationState(held, datetime.now(UTC).isoformat(), highest).encode()))

    async def ask(self, request: Request) -> Response:
        """Send a request and wait for its answer; what the server says of itself meanwhile is kept."""
        await self.peer.send(request)
        while True:
            came = await self.peer.receive()
            if isinstance(came, Request):
                await self._heard(came)
            elif (came.call_id, came.cseq) == (request.call_id, request.cseq):
                return came

    async def status(self) -> dict[str, Any]:
        """Wait for the next thing that the server says of itself."""
        before = len(self.statuses)
        while len(self.statuses) == before:
            came = await self.peer.receive()
            if isinstance(came, Request):
                await self._heard(came)
        return self.statuses[-1]

    async def _heard(self, request: Request) -> None:
        if request.method == "PUBLISH":
            self.statuses.append(json.loads(request.body))
        await self.peer.send(respond(request, 200, to_tag=self.tag))
