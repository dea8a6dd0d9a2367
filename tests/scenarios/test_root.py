"""A network that changes its root under traffic: no message is lost, no call falls, and the old root is not trusted after."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

from sipmesh.client.agent import Settings, UserAgent
from sipmesh.client.answering import Manners
from sipmesh.client.judge import Trust
from sipmesh.demo.organisation import Organisation, PoolPlan
from sipmesh.errors import SipmeshError
from sipmesh.pki.ca_rotation import CaGenerations
from sipmesh.pki.keys.algorithm import KeyAlgorithm
from sipmesh.server.certificates import own_certificates
from sipmesh.server.replication.topology_source import source_of
from sipmesh.server.running.running_server import RunningServer
from sipmesh.topology.document.changes import add_root, remove_root
from sipmesh.transport.link.state import LinkState
from sipmesh.trust.evidence import LinkKind
from sipmesh.trust.role import Role
from support.managed import MGMT, Managed, build_managed
from support.network import EDGE, EXAMPLE, FE1, FE2, FE3, POOL2, hung_up_by_the_other, inside, ringing
from support.running import LOOK_AGAIN_S, on_loop, until

SERVERS = (MGMT, FE1, FE2, FE3, EDGE)
NEW = ("ca/2/root.pem", ("ca/2/root.crl", "ca/2/issuing.crl"))
OLD = ("ca/root.pem", ("ca/root.crl", "ca/issuing.crl"))


P_256, ML_DSA = KeyAlgorithm.P_256, KeyAlgorithm.ML_DSA_44


def new_organisation(folder: Path, algorithm: KeyAlgorithm) -> Organisation:
    made = build_managed(folder, PoolPlan(POOL2, Role.FRONT_END, (FE3,)), algorithm=algorithm)
    made.add_users("carol", pool=POOL2)
    return made


@dataclass
class Traffic:
    """Messages one after the other, from alice to carol, whose home is another pool."""

    alice: UserAgent
    carol: UserAgent
    sent: int = 0
    lost: list[Any] = field(default_factory=list)

    async def run(self) -> None:
        while True:
            self.sent += 1
            outcome = await self.alice.message(f"carol@{EXAMPLE}", f"number {self.sent}")
            while not self.carol.events.empty():
                self.carol.events.get_nowait()
            if outcome is None or not outcome.ok:
                self.lost.append(outcome)


async def agent(network: Managed, user: str, server: str, *roots: bytes) -> UserAgent:
    """A user who trusts these roots."""
    made = UserAgent(
        f"{user}@{EXAMPLE}", f"{user}-secret", trust=Trust.of_pem(b"".join(roots)), settings=Settings(Manners())
    )
    await made.connect(*network.organisation.address(server, LinkKind.CLIENT))
    assert (await made.register()).status == 200
    return made


def rewrite(network: Managed, change: Any) -> None:
    """Edit the draft as the command does."""
    file = network.organisation.file
    file.write_text(change(file.read_text()))


def links_on(network: Managed, root: x509.Certificate) -> list[str]:
    """Links between servers whose peer has a certificate under a root, without those that are reserved."""
    issuer = root.subject.public_bytes()
    return [
        f"{name} {link!r}"
        for name, node in network.nodes.items()
        for link in node.pool.all()
        if link.state is LinkState.UP
        and not link.reserved
        and link.verdict is not None
        and any(held == issuer for held, _ in link.verdict.relied_on)
    ]


async def nothing_is_in_use(network: Managed) -> None:
    """Wait until publishing the draft would break nothing."""
    while (await network.master.publisher.plan()).dangers:
        await asyncio.sleep(LOOK_AGAIN_S)


@pytest.mark.wide
@pytest.mark.parametrize(("algorithm", "after"), [(P_256, ML_DSA), (ML_DSA, P_256)], ids=["to ML-DSA", "to P-256"])
@on_loop
async def test_a_root_is_changed_under_traffic(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, algorithm: KeyAlgorithm, after: KeyAlgorithm
) -> None:
    organisation = new_organisation(tmp_path / "o", algorithm)
    monkeypatch.setattr(own_certificates, "LOOK_AGAIN_S", 0.5)
    old = CaGenerations(organisation.folder / "ca").current
    async with Managed(organisation, tmp_path) as network:
        await network.start(*SERVERS)
        await network.acknowledged(1)
        be_quick(network)
        generations = CaGenerations(organisation.folder / "ca")
        coming = generations.prepare(datetime.now(UTC), algorithm=after)
        phones = (organisation.root.read_bytes(), (coming.folder / "root.pem").read_bytes())
        alice, carol = await agent(network, "alice", FE1, *phones), await agent(network, "carol", FE3, *phones)
        call = await alice.call(f"carol@{EXAMPLE}")
        other = await ringing(carol)
        assert (await call.answered()).ok
        traffic = Traffic(alice, carol)
        going_on = asyncio.create_task(traffic.run())

        for step, why in (("activate", "in the draft, and not published"), ("switch", "lead to the same root already")):
            with pytest.raises(SipmeshError, match=why):
                await network.ask(MGMT, "root", step=step)
        rewrite(network, lambda text: add_root(text, *NEW))
        await published(network, "a new root", 2)

        await network.ask(MGMT, "root", step="activate")
        await shown(network, coming.issuing.subject, old.root.subject)
        with pytest.raises(SipmeshError, match="do not lead to"):
            await network.ask(MGMT, "root", step="retire")

        await told(network, "issuer", coming.issuing.subject)
        await network.ask(MGMT, "root", step="switch")
        await shown(network, coming.issuing.subject, coming.root.subject)
        await told(network, "under", coming.root.subject)
        with pytest.raises(SipmeshError, match="still trusted"):
            await network.ask(MGMT, "root", step="retire")
        await until(lambda: replaced(network, old.root))
        assert {name: key_of(node) for name, node in network.nodes.items()} == {
            name: P_256 if name == MGMT else after for name in SERVERS
        }

        rewrite(network, lambda text: remove_root(text, *OLD, organisation.file))
        for name in SERVERS[1:]:
            network.member(name).reporter.report()  # as each does every ten seconds
        await nothing_is_in_use(network)
        before = traffic.sent
        await published(network, "remove the old root", 3)
        await retired(network)
        await until(lambda: traffic.sent > before + 20)

        assert (await inside(call, "INVITE")).ok
        going_on.cancel()
        with suppress(asyncio.CancelledError):
            await going_on
        assert traffic.lost == []
        assert await hung_up_by_the_other(call, other)
        await alice.close()
        await carol.close()
        await old_root_is_worth_nothing(organisation)
        settled(organisation)


async def old_root_is_worth_nothing(organisation: Organisation) -> None:
    """A phone that trusts it alone gets no link."""
    stranger = UserAgent(f"bob@{EXAMPLE}", "bob-secret", trust=Trust.of_pem(organisation.root.read_bytes()))
    with pytest.raises(SipmeshError):
        await stranger.connect(*organisation.address(FE1, LinkKind.CLIENT))
    await stranger.close()


def key_of(node: RunningServer) -> KeyAlgorithm | None:
    """The algorithm of the key that a server presents to servers."""
    return KeyAlgorithm.of(node.certificates.presented.of(LinkKind.SERVER).leaf.public_key())


async def retired(network: Managed) -> None:
    """Let go of the old root; then, once every server has reported, `sipmesh status` finds no fault in any of them."""
    await network.ask(MGMT, "root", step="retire")
    before = {name: report.heard_at for name, report in network.master.reports.reports.items()}
    for name in SERVERS[1:]:
        network.member(name).reporter.report()  # as each does every ten seconds
    reports = network.master.reports.reports
    await until(lambda: all(reports[name].heard_at > at for name, at in before.items()))
    faults = {name: one["faults"] for name, one in (await network.network()).items() if one["faults"]}
    assert faults == {}


def settled(organisation: Organisation) -> None:
    """Nothing is left of the old root, and a server that begins beside management, as after a restore, believes the new one."""
    assert CaGenerations(organisation.folder / "ca").old == []
    assert source_of(organisation.file, FE1).load().number == 3


def be_quick(network: Managed) -> None:
    """Let links be quiet after a moment, and an answered INVITE keep its link busy for no longer."""
    for one in network.nodes.values():
        one.certificates.rotation.quiet_s = 0.02
        for kept in (one.relay.client_transactions.lingering, one.relay.server_transactions.ending):
            kept.seconds = 0.1


async def published(network: Managed, why: str, number: int) -> None:
    plan = await network.ask(MGMT, "plan")
    told = await network.ask(MGMT, "publish", why=why, base=plan["base"], digest=plan["digest"])
    assert told["version"] == number
    await network.acknowledged(number)


async def shown(network: Managed, issuer: x509.Name, root: x509.Name) -> None:
    """Wait until every server shows a certificate of *issuer* under *root*."""

    def done() -> bool:
        chains = [node.certificates.presented.of(LinkKind.SERVER).chain for node in network.nodes.values()]
        return all((chain[0].issuer, chain[-1].issuer) == (issuer, root) for chain in chains)

    await until(done)


async def told(network: Managed, what: str, name: x509.Name) -> None:
    """Wait until management has heard so of every server."""
    succession, wanted = network.master.root_rotation, name.rfc4514_string()
    late = succession.not_issued_by if what == "issuer" else succession.not_under
    await until(lambda: not late(wanted))


def replaced(network: Managed, root: x509.Certificate) -> bool:
    """Look at the links as the server does every few seconds; whether none of them has a certificate under *root* any more."""
    for node in network.nodes.values():
        node.certificates.replace_links(datetime.now(UTC))
    return not links_on(network, root)
