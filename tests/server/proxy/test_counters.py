"""What a server has counted since its start."""

from __future__ import annotations

from datetime import UTC, datetime

from sipmesh.server.proxy.counters import Counters
from sipmesh.trust.code import Code
from sipmesh.trust.evidence import Direction, LinkKind, TlsFacts
from sipmesh.trust.verdict import Verdict
from support.network import FE1, Network
from support.running import on_loop, until


def verdict(code: Code) -> Verdict:
    return Verdict(
        subject="fe2.example.test",
        code=code,
        findings=(),
        at=datetime.now(UTC),
        kind=LinkKind.SERVER,
        direction=Direction.ACCEPTED,
        remote=("192.0.2.7", 5062),
        tls=TlsFacts(),
    )


def test_verdicts_are_counted_by_kind_direction_and_code() -> None:
    counters = Counters()
    for code in (Code.ACCEPTED, Code.REVOKED, Code.REVOKED):
        counters.judged(verdict(code))
    assert counters.verdicts == {("server", "accepted", "accepted"): 1, ("server", "accepted", "revoked"): 2}


def test_refused_messages_are_counted_by_code() -> None:
    counters = Counters()
    counters.refused("from-not-allowed")
    counters.refused("from-not-allowed")
    assert counters.refused_messages == {"from-not-allowed": 2}


@on_loop
async def test_messages_of_a_closed_link_are_counted(home: Network) -> None:
    async with home:
        node = home.nodes[FE1]
        alice = await home.phone("alice", FE1)
        [link] = node.pool.all()
        counters = Counters()
        await alice.__aexit__()
        await until(lambda: not node.pool.all())
        counters.gone(link)
        assert counters.messages == {("client", "in"): link.messages_in, ("client", "out"): link.messages_out}
        assert link.messages_in == link.messages_out == 2  # a REGISTER, its challenge, and the same with credentials
