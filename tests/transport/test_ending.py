"""A link ends with the first certificate of its path, at that instant by the wall clock, and with no other's."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from sipmesh.transport.link.link import A_SECOND, LOOK_AGAIN_S, Link
from sipmesh.trust.evidence import HandshakeFailure, LinkKind, PeerEvidence
from transport.world import Heard, Node, Peer, dns_names, on_loop, predictable

if TYPE_CHECKING:
    from sipmesh.transport.tls.contexts import Identity
    from sipmesh.trust.verdict import Verdict
    from transport.authority import Authority

SOON_S = 0.2
ENDED = HandshakeFailure("expired", "test")


@dataclass
class Judge:
    """Accepts whose certificate has not ended by the wall clock, which a test may set; *ends* is by name, in seconds."""

    ends: dict[str, float]
    ahead: float = 0.0
    asked: list[str] = field(default_factory=list)

    def clock(self) -> float:
        return time.time() + self.ahead

    def __call__(self, link: Link, evidence: PeerEvidence) -> Verdict:
        [name] = dns_names(evidence.presented[0])
        self.asked.append(name)
        over = self.clock() >= self.ends[name]
        verdict = predictable(link, replace(evidence, failure=ENDED if over else None))
        return replace(verdict, ends=datetime.fromtimestamp(self.ends[name] - A_SECOND, UTC))


def let_come(node: Node, judge: Judge, end: float) -> None:
    """Let the wall clock show a moment before *end*, and every link look at it as it does once a minute."""
    judge.ahead = end - SOON_S - time.time()
    for link in node.pool.all():
        link.due(link.alarm)


@on_loop
async def test_link_is_closed_when_a_certificate_of_its_path_ends_and_the_twin_stays(
    ca: Authority, here: Identity, there: Identity
) -> None:
    """Nobody asks in between: it is the alarm that does, and not before that instant."""
    end = time.time() + 3600
    judge = Judge({"there.test": end, "third.test": end + 3600})
    async with Node(ca, here, heard=Heard(judge)) as node:
        node.reactor.wall_clock = judge.clock
        listener = node.listen(LinkKind.SERVER)
        async with await Peer.dial(listener, ca, there), await Peer.dial(listener, ca, ca.issue("third.test")):
            await node.heard.until(lambda: len(node.heard.up) == 2)
            let_come(node, judge, end)
            assert len(node.pool.all()) == 2
            await node.heard.until(lambda: node.heard.down)
            assert judge.clock() >= end
            [(ended, why, verdict)] = node.heard.down
            assert (ended.names, why) == (("there.test",), "no longer trusted: expired")
            assert verdict is not None
            assert verdict.code == "expired"
            assert [link.names for link in node.pool.all()] == [("third.test",)]
            assert judge.asked == ["there.test", "third.test", "there.test"]


@on_loop
async def test_link_whose_peer_is_good_by_another_path_stays_until_that_one_ends(
    ca: Authority, here: Identity, there: Identity
) -> None:
    end = time.time() + 3600
    judge = Judge({"there.test": end})

    def by_another_path(link: Link, evidence: PeerEvidence) -> Verdict:
        judge.ends["there.test"] = end + SOON_S
        return judge(link, evidence)

    async with Node(ca, here, heard=Heard(judge)) as node:
        node.reactor.wall_clock = judge.clock
        async with await Peer.dial(node.listen(LinkKind.SERVER), ca, there):
            await node.heard.until(lambda: node.heard.up)
            node.heard.judge_by = by_another_path
            let_come(node, judge, end)
            await node.heard.until(lambda: node.heard.down)
            assert judge.clock() >= end + SOON_S
        assert len(judge.asked) == 3
        assert node.heard.down[0][1] == "no longer trusted: expired"


@on_loop
async def test_clock_that_is_set_is_looked_at_within_a_minute(ca: Authority, here: Identity, there: Identity) -> None:
    """Alarms go by another clock, so that none is set further ahead, however far off the end is."""
    judge = Judge({"there.test": time.time() + 86_400})
    async with Node(ca, here, heard=Heard(judge)) as node:
        node.reactor.wall_clock = judge.clock
        async with await Peer.dial(node.listen(LinkKind.SERVER), ca, there):
            await node.heard.until(lambda: node.heard.up)
            [link] = node.heard.up
            assert 0 < link.alarm - node.reactor.loop.time() <= LOOK_AGAIN_S
            link.due(link.alarm)
            assert judge.asked == ["there.test"]
            judge.ahead = 86_400
            link.due(link.alarm)
            await node.heard.until(lambda: node.heard.down)
            assert node.heard.down[0][1] == "no longer trusted: expired"


@on_loop
async def test_client_without_a_certificate_has_none_that_ends(ca: Authority, here: Identity) -> None:
    async with Node(ca, here) as node:
        node.reactor.wall_clock = lambda: time.time() + 1e9
        async with await Peer.dial(node.listen(LinkKind.CLIENT), ca):
            await node.heard.until(lambda: node.heard.up)
            node.heard.up[0].due(node.reactor.loop.time())
            assert node.pool.all() == node.heard.up
