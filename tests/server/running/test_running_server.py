"""A running server as a whole: how time and new CRLs affect its links."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509

from scenarios.test_revocation import second_issuing_ca, under
from sipmesh.demo.organisation import Organisation
from sipmesh.errors import OperatorError
from sipmesh.pki.crl.builder import Reason
from sipmesh.server.running import running_server
from sipmesh.server.running.running_server import RunningServer
from sipmesh.server.running.server_stores import ServerStores
from sipmesh.trust.evidence import LinkKind, PeerEvidence
from sipmesh.trust.verdict import Verdict
from support.network import EDGE, FE1, FE2, Network
from support.peer import Peer
from support.running import on_loop, until
from support.telling import Told


def set_clocks(node: RunningServer, ahead: timedelta) -> None:
    """Set a server's clock forward; its loop time does not change."""
    node.gatekeeper.clock = lambda: datetime.now(UTC) + ahead
    node.reactor.wall_clock = lambda: time.time() + ahead.total_seconds()


async def linked(pool: Network) -> RunningServer:
    """The first front end, with an open link to the second one."""
    alice, bob = await pool.phone("alice", FE1), await pool.agent("bob", FE2)
    assert (await bob.register()).ok
    await alice.send(alice.request("MESSAGE", "sip:bob@example.test"))
    assert (await alice.final()).status == 200
    return pool.nodes[FE1]


@on_loop
async def test_link_closes_when_its_certificate_expires_and_others_stay(pool: Network) -> None:
    """A certificate is valid only within its validity; clients present none, and their links stay."""
    async with pool:
        node = await linked(pool)
        [between] = [link for link in node.pool.all() if link.kind is LinkKind.SERVER]
        for ahead in (timedelta(days=29), timedelta(days=31)):
            assert len(node.pool.all()) == 2
            set_clocks(node, ahead)
            between.due(between.alarm)
        await until(lambda: between not in node.pool.all())
        assert between.why == "no longer trusted: expired"
        assert [link.kind for link in node.pool.all()] == [LinkKind.CLIENT]


@on_loop
async def test_link_closes_when_the_certificate_of_its_issuer_expires_and_others_stay(home: Network) -> None:
    """Before its own certificate does. A link under another CA of ours, and that of a phone, go on."""
    example = home.organisations[0]
    issuing = second_issuing_ca(example, ends=timedelta(days=10))
    async with home:
        node = home.nodes[FE1]
        phone = await home.phone("alice", FE1)
        ends = await Peer.open(home.address(FE1, LinkKind.SERVER), credentials=under(issuing, example, FE2))
        stays = await Peer.open(home.address(FE1, LinkKind.SERVER), credentials=home.credentials(EDGE))
        async with ends, stays:
            for ahead in (timedelta(0), timedelta(days=9), timedelta(days=11)):
                for peer in (ends, stays, phone):
                    await peer.silent()
                set_clocks(node, ahead)
                for link in node.pool.all():
                    link.due(link.alarm)
            await ends.hung_up()
            for peer in (stays, phone):
                await peer.silent()


@on_loop
async def test_new_crl_judges_only_links_of_newly_revoked_certificates(pool: Network) -> None:
    """The view, its policies and its cached verdicts stay, and no other link is judged."""
    ca, file = pool.organisations[0].ca, pool.organisations[0].folder / "ca" / "issuing.crl"
    async with pool:
        node = await linked(pool)
        view, judged = node.view, count_judgements(node)
        ca.crls.publish(datetime.now(UTC))
        assert node.revocation.accept_crls({file}) == []
        assert judged == []
        [between] = [link for link in node.pool.all() if link.kind is LinkKind.SERVER]
        serial = x509.load_pem_x509_certificates(pool.credentials(FE2)[0].read_bytes())[0].serial_number
        ca.revoke(serial, Reason.KEY_COMPROMISE, datetime.now(UTC))
        assert node.revocation.accept_crls({file}) == [between.id]
        assert judged == [between.remote]
        assert node.view is view


@on_loop
async def test_missing_crl_closes_the_links_that_need_it(pool: Network) -> None:
    """Rule R12: more than serial numbers has changed, so every link is judged again."""
    file = pool.organisations[0].folder / "ca" / "root.crl"
    async with pool:
        node = await linked(pool)
        [between] = [link for link in node.pool.all() if link.kind is LinkKind.SERVER]
        file.unlink()
        assert node.revocation.accept_crls({file}) == [between.id]
        assert between.why == "no longer trusted: revocation-unknown"


def count_judgements(node: RunningServer) -> list[tuple[str, int]]:
    """Record the remote addresses of links that are judged from now on."""
    judged: list[tuple[str, int]] = []
    judge = node.gatekeeper.judge

    def counted(evidence: PeerEvidence, meant: str = "", *, live: bool = False) -> Verdict:
        judged.append(evidence.remote)
        return judge(evidence, meant, live=live)

    node.gatekeeper.judge = counted  # type: ignore[method-assign]  # it calls the real judge
    return judged


@on_loop
async def test_server_says_what_it_uses_of_what_expires(home: Network) -> None:
    async with home:
        use = home.nodes[FE1].use()
        assert (use.server, set(use.shown), use.supplies) == (FE1, {False}, ())
        assert use.anchors
        assert {item.issuer for item in use.lists} >= {use.shown[False].certificates[0].issuer}


@on_loop
async def test_stores_are_closed_if_the_parts_cannot_be_built(
    example: Organisation, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed: list[ServerStores] = []
    close = ServerStores.close

    def noted_close(stores: ServerStores) -> None:
        closed.append(stores)
        close(stores)

    monkeypatch.setattr(ServerStores, "close", noted_close)

    def broken(*_: object) -> None:
        raise OperatorError("no parts")

    monkeypatch.setattr(running_server, "ServerSetup", broken)
    with pytest.raises(OperatorError, match="no parts"):
        RunningServer(example.file, FE1, Told().log)
    assert len(closed) == 1
