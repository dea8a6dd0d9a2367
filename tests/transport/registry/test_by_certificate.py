"""Links by certificate: a revocation finds its own links, at a cost that does not depend on the number of other links."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import pytest

from sipmesh.transport.link.link import Link
from sipmesh.transport.link.state import LinkState
from sipmesh.transport.reactor.event_loop import Loop
from sipmesh.transport.registry.by_certificate import LinksByCertificate
from sipmesh.trust.evidence import Direction, HandshakeFailure, LinkKind, PeerEvidence
from transport.world import Heard, Node, Peer, on_loop, predictable

if TYPE_CHECKING:
    from sipmesh.transport.reactor.reactor import Reactor
    from sipmesh.transport.tls.contexts import Identity
    from sipmesh.trust.verdict import Verdict
    from sipmesh.trust.x509.certificate import CertificateId
    from transport.authority import Authority

ROOT, ISSUING = (b"root", 1), (b"root", 2)
REFUSED = HandshakeFailure("revoked", "test")


def leaf(number: int) -> CertificateId:
    return b"issuing", number


@dataclass
class Judge:
    """Refuses the given peers, and records which peers it judges."""

    revoked: set[int] = field(default_factory=set)
    asked: list[int] = field(default_factory=list)

    def __call__(self, link: Link, evidence: PeerEvidence) -> Verdict:
        self.asked.append(link.number)
        refused = link.number in self.revoked
        return standing(link, evidence, *(() if refused else (leaf(link.number), ISSUING, ROOT)))


def standing(link: Link, evidence: PeerEvidence, *named: CertificateId) -> Verdict:
    """Return a verdict on a peer whose path is *named*; without certificates, it refuses."""
    told = replace(evidence, failure=None if named else REFUSED)
    return replace(predictable(link, told), relied_on=frozenset(named))


@pytest.fixture(name="reactor")
def _reactor(ca: Authority) -> Iterator[Reactor]:
    loop = Loop()

    async def made() -> Reactor:
        return Node(ca).reactor

    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        reactor = runner.run(made())
        yield reactor
        runner.run(asyncio.sleep(0))
        reactor.close()


def stand_in(reactor: Reactor, judge: Judge) -> Link:
    """A link without a connection, up under a verdict of *judge*; it closes like any other."""
    link = Link(reactor, Heard(), LinkKind.SERVER, Direction.ACCEPTED)
    link.state = LinkState.UP
    link.peer.evidence = PeerEvidence(Direction.ACCEPTED, LinkKind.SERVER, ("192.0.2.1", 1), ("192.0.2.2", 2))
    reactor.links.add(link, ())
    assert link.judged(judge(link, link.peer.evidence))
    return link


@pytest.mark.parametrize("others", [10, 1_000])
def test_revocation_judges_only_links_that_rely_on_the_certificate(reactor: Reactor, others: int) -> None:
    """Two links are judged, and one of them closes, however many others there are."""
    from sipmesh.transport.connector import Connector
    from sipmesh.transport.pool import LinkPool

    judge = Judge()
    links = [stand_in(reactor, judge) for _ in range(others + 2)]
    pool = LinkPool(reactor, Connector(reactor, Heard(), Node.context_for))  # type: ignore[arg-type]  # never called
    judge.asked.clear()
    judge.revoked.add(links[3].number)
    named = {leaf(links[3].number), leaf(links[7].number), (b"another issuer", links[5].number)}
    assert pool.rejudge_relying_on(named, judge) == [links[3]]
    assert judge.asked == [links[3].number, links[7].number]
    assert links[3].why == "no longer trusted: revoked"
    assert [link for link in links if link.state is not LinkState.UP] == [links[3]]


def test_all_links_under_an_issuer_are_found_by_it_each_once_and_in_order(reactor: Reactor) -> None:
    links = [stand_in(reactor, Judge()) for _ in range(3)]
    assert reactor.links.relying.on([ISSUING, leaf(links[1].number), ROOT]) == links
    assert reactor.links.relying.on([leaf(links[1].number)]) == [links[1]]
    assert reactor.links.relying.on([(b"root", 3)]) == []


def test_links_are_found_among_many_more_revoked_certificates(reactor: Reactor) -> None:
    """A new CRL may name a hundred thousand; the search looks at the certificates of our links only."""
    links = [stand_in(reactor, Judge()) for _ in range(3)]
    many = {(b"another issuer", number) for number in range(1_000)}
    assert reactor.links.relying.on(many) == []
    assert reactor.links.relying.on(many | {leaf(links[2].number), leaf(links[0].number)}) == [links[0], links[2]]


def test_new_verdict_with_another_path_replaces_the_old_one(reactor: Reactor) -> None:
    """A certificate on which a link no longer relies cannot close it."""
    link = stand_in(reactor, Judge())
    assert link.peer.evidence is not None
    assert link.judged(standing(link, link.peer.evidence, leaf(link.number), (b"cross", 9)))
    assert reactor.links.relying.on([ISSUING, ROOT]) == []
    assert reactor.links.relying.on([(b"cross", 9)]) == [link]


def test_closed_links_leave_no_entries(reactor: Reactor) -> None:
    """Certificates are renewed for ever: the index contains only those of live links."""
    links = [stand_in(reactor, Judge()) for _ in range(3)]
    for link in links:
        reactor.links.remove(link)
        reactor.links.remove(link)


def test_link_without_certificates_has_no_entry(reactor: Reactor) -> None:
    """Clients present no certificate, and there are many clients."""
    reliance, link = LinksByCertificate(), stand_in(reactor, Judge())
    reliance.set(link, frozenset())


@on_loop
async def test_link_is_found_from_the_time_it_is_up_until_it_is_closed(
    ca: Authority, here: Identity, there: Identity
) -> None:
    def judge(link: Link, evidence: PeerEvidence) -> Verdict:
        return standing(link, evidence, leaf(1), ISSUING)

    async with Node(ca, here, heard=Heard(judge)) as node:
        held = node.reactor.links.relying
        async with await Peer.dial(node.listen(LinkKind.SERVER), ca, there):
            await node.heard.until(lambda: node.heard.up)
            assert held.on([ISSUING]) == node.heard.up
        await node.heard.until(lambda: node.heard.down)
        assert held.on([ISSUING]) == []
