"""Links over WebSocket for tests: a port that accepts them, and a client that is not our code."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sipmesh.errors import RemoteError
from sipmesh.transport.link.link import Link
from sipmesh.transport.websocket.upgrade import UpgradePolicy
from sipmesh.trust.evidence import LinkKind
from support.web_peer import ORIGIN, WebPeer
from transport.world import Heard, Node, request

if TYPE_CHECKING:
    from sipmesh.transport.accept.listener import Listener

POLICY = UpgradePolicy(frozenset({"example.test"}), frozenset({ORIGIN}))


class HeardUpgrades(Heard):
    """Records the upgrades that were refused, too."""

    def __init__(self) -> None:
        super().__init__()
        self.upgrades: list[RemoteError] = []

    def upgrade_refused(self, _link: Link, refusal: RemoteError) -> None:
        self.upgrades.append(refusal)


def listen(node: Node, policy: UpgradePolicy = POLICY) -> Listener:
    return node.listen(LinkKind.CLIENT, upgrade_policy=lambda: policy)


def answer_back(link: Link, _message: object) -> None:
    link.send(request("back"))


async def dial(node: Node, listener: Listener | None = None) -> WebPeer:
    return await WebPeer.dial((listener or listen(node)).address, "alice@example.test")


async def closed(peer: WebPeer) -> int | None:
    """Read until the end; give the code of the Close frame."""
    await peer.hung_up()
    return peer.closed


async def first_link(node: Node) -> Link:
    await node.heard.until(lambda: node.heard.up)
    return node.heard.up[0]
