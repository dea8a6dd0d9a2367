"""A link closes when the first certificate of its path expires, by the wall clock; other certificates do not matter."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from sipmesh.transport.link.deadlines import LOOK_AGAIN_S
from sipmesh.transport.link.link import Link
from sipmesh.transport.link.peer import A_SECOND
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
    """Accepts a certificate until it expires by the wall clock, which tests set; *ends* is by name, in seconds."""

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
    """Set the wall clock to just before *end*, and let every link check it, as it does once a minute."""
    judge.ahead = end - SOON_S - time.time()
    for link in node.pool.all():
        link.due(link.alarm)


@on_loop
async def test_link_closes_when_a_certificate_of_its_path_expires_and_others_stay(
    ca: Authority, here: Identity, there: Identity
) -> None:
    """There is no other check in between: the alarm does, and not before that time."""
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
@pytest.mark.wide
async def test_link_with_another_valid_path_stays_until_that_path_expires(
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
async def test_changed_wall_clock_is_noticed_within_a_minute(ca: Authority, here: Identity, there: Identity) -> None:
    """Alarms use another clock: so none is set further ahead than a minute, however far off the expiry is."""
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
async def test_client_link_does_not_expire_with_a_certificate(ca: Authority, here: Identity) -> None:
    async with Node(ca, here) as node:
        node.reactor.wall_clock = lambda: time.time() + 1e9
        async with await Peer.dial(node.listen(LinkKind.CLIENT), ca):
            await node.heard.until(lambda: node.heard.up)
            node.heard.up[0].due(node.reactor.loop.time())
            assert node.pool.all() == node.heard.up
