"""What ends a trust closes at once the live links that depend on it, and no others: each with a control.

Here servers notice changed files by inotify only: the periodic look is stopped.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Self

import pytest
from cryptography import x509

from sipmesh.client.dialog import Dialog
from sipmesh.demo.forge import Forge, Forged
from sipmesh.demo.organisation import Organisation
from sipmesh.pki.crl.builder import Reason
from sipmesh.server import service
from sipmesh.server.running.running_server import RunningServer
from sipmesh.topology.view import certificate_names
from sipmesh.trust.evidence import LinkKind
from support.network import EDGE, EDGES, FE1, FE2, PARTNER_EDGE, Network, hung_up_by_the_other, inside, ringing
from support.peer import HungUpError, Peer
from support.running import on_loop, until
from support.service import serving_here
from support.talking import inside_of
from support.telling import Told

Credentials = tuple[Path, Path]


@pytest.fixture(autouse=True)
def _by_the_kernels_word(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let an hour pass between two looks of the clock."""
    monkeypatch.setattr(service, "TICK_S", 3600.0)


@dataclass
class Scene:
    """One server that runs as a service, and peers who show it what the test wants."""

    organisation: Organisation
    name: str
    kind: LinkKind = LinkKind.SERVER
    told: Told = field(default_factory=Told)
    _stack: AsyncExitStack = field(default_factory=AsyncExitStack)

    async def __aenter__(self) -> Self:
        self.node: RunningServer = await self._stack.enter_async_context(
            serving_here(self.organisation, self.told, self.name)
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    async def link(self, credentials: Credentials, kind: LinkKind | None = None) -> Linked:
        """A peer that was accepted with *credentials* and has had an answer."""
        peer = await Peer.open(
            self.organisation.address(self.name, kind or self.kind), "erin@partner.test", credentials
        )
        await self._stack.enter_async_context(peer)
        await answered(peer)
        [found] = [link.id for link in self.node.pool.all() if link.remote == peer.address]
        return Linked(peer, found, credentials)

    def closed(self, event: str) -> list[str]:
        """The links that the newest *event* has closed, as the log tells it."""
        closed: list[str] = self.told.last(event)["closed"]
        return closed

    async def refuses(self, credentials: Credentials, code: str) -> None:
        """See that a new link with *credentials* is refused for that reason."""
        with pytest.raises((HungUpError, OSError)):
            await self._knock(credentials)
        assert self.told.last("link refused")["code"] == code

    async def _knock(self, credentials: Credentials) -> None:
        async with await Peer.open(self.organisation.address(self.name, self.kind), credentials=credentials) as peer:
            await answered(peer)


@dataclass
class Linked:
    """A peer, the id of its link at the server, and what it showed."""

    peer: Peer
    id: str
    credentials: Credentials

    async def falls(self) -> None:
        await self.peer.hung_up()

    async def stays(self) -> None:
        await answered(self.peer)


async def answered(peer: Peer) -> None:
    """One question, one answer."""
    assert (await peer.ask(peer.request("OPTIONS", "sip:example.test"))).status == 200


def leaf_of(credentials: Credentials) -> x509.Certificate:
    return x509.load_pem_x509_certificates(credentials[0].read_bytes())[0]


def credentials_of(organisation: Organisation, server: str) -> Credentials:
    folder = organisation.folder / "servers"
    return folder / f"{server}.pem", folder / f"{server}.key"


def another(organisation: Organisation, server: str) -> Credentials:
    """A second certificate of *server*, which its owner keeps elsewhere."""
    topology = organisation.load().topology
    pool = topology.pool_of(server)
    assert pool is not None
    issued = organisation.ca.issue(certificate_names(topology, server), pool.role, datetime.now(UTC))
    credentials = (organisation.folder / "more" / f"{server}.pem", organisation.folder / "more" / f"{server}.key")
    issued.write(*credentials)
    return credentials


def revoke(organisation: Organisation, certificate: x509.Certificate) -> None:
    organisation.ca.revoke(certificate.serial_number, Reason.KEY_COMPROMISE, datetime.now(UTC))


def second_issuing_ca(organisation: Organisation, **changes: Any) -> Forged:
    """Another CA under the organisation's own root, with its list in the topology."""
    folder, forge = organisation.folder / "ca", Forge(datetime.now(UTC))
    root = Forged.read(folder / "root.pem", folder / "root.key")
    issuing = forge.authority("Second issuing CA", root, **changes)
    (folder / "second.crl").write_bytes(forge.revocations(issuing))
    authority: Any = organisation.document["authority"]
    authority["crls"].append("ca/second.crl")
    organisation.write()
    return issuing


def under(issuing: Forged, organisation: Organisation, server: str) -> Credentials:
    """A certificate of *server* by another CA than the organisation's usual one."""
    names = certificate_names(organisation.load().topology, server)
    return Forge(datetime.now(UTC)).server(issuing, *names).write(organisation.folder / "second", server)


# By a list


@on_loop
async def test_revoked_certificate_brings_down_its_link_and_no_other_not_even_of_the_same_server(
    example: Organisation,
) -> None:
    async with Scene(example, FE1) as scene:
        stolen = await scene.link(credentials_of(example, FE2))
        renewed, edge = await scene.link(another(example, FE2)), await scene.link(credentials_of(example, EDGE))
        revoke(example, leaf_of(stolen.credentials))
        await stolen.falls()
        assert scene.closed("CRLs in force") == [stolen.id]
        await renewed.stays()
        await edge.stays()
        await scene.refuses(stolen.credentials, "revoked")
        await (await scene.link(renewed.credentials)).stays()
        assert not list(scene.told.events("topology in force"))


@on_loop
async def test_revoked_issuing_ca_brings_down_all_links_under_it_and_none_under_the_other(
    example: Organisation,
) -> None:
    """The root's list names it; what it has issued itself is on no list."""
    issuing = second_issuing_ca(example)
    async with Scene(example, FE1) as scene:
        fallen = [await scene.link(credentials_of(example, name)) for name in (FE2, EDGE)]
        other = await scene.link(under(issuing, example, FE2))
        revoke(example, example.ca.issuing)
        for link in fallen:
            await link.falls()
        assert sorted(scene.closed("CRLs in force")) == sorted(link.id for link in fallen)
        await other.stays()
        await scene.refuses(fallen[0].credentials, "revoked")


@on_loop
async def test_partners_crl_that_newly_names_its_edge_closes_that_link(federation: Network) -> None:
    example, partner = federation.organisations
    async with Scene(example, EDGE, LinkKind.PARTNER) as scene:
        stolen = await scene.link(credentials_of(partner, PARTNER_EDGE))
        renewed = await scene.link(another(partner, PARTNER_EDGE))
        ours = await scene.link(credentials_of(example, FE1), LinkKind.SERVER)
        revoke(partner, leaf_of(stolen.credentials))
        await stolen.falls()
        assert scene.closed("CRLs in force") == [stolen.id]
        await renewed.stays()
        await ours.stays()
        await scene.refuses(stolen.credentials, "revoked")


# By the topology


@on_loop
async def test_server_that_leaves_the_topology_loses_its_link(example: Organisation) -> None:
    async with Scene(example, FE1) as scene:
        leaving, edge = await scene.link(credentials_of(example, FE2)), await scene.link(credentials_of(example, EDGE))
        front_ends = example.document["pools"][0]  # type: ignore[index]  # it is what build_example wrote
        front_ends["servers"] = front_ends["servers"][:1]
        example.write()
        await leaving.falls()
        assert scene.closed("topology in force") == [leaving.id]
        await edge.stays()
        await scene.refuses(leaving.credentials, "not-in-topology")


@on_loop
async def test_partner_that_leaves_the_topology_loses_its_link(federation: Network) -> None:
    example, partner = federation.organisations
    async with Scene(example, EDGE, LinkKind.PARTNER) as scene:
        leaving = await scene.link(credentials_of(partner, PARTNER_EDGE))
        ours = await scene.link(credentials_of(example, FE1), LinkKind.SERVER)
        example.federate(EDGES, [])
        example.write()
        await leaving.falls()
        assert scene.closed("topology in force") == [leaving.id]
        await ours.stays()


@on_loop
async def test_anchor_that_is_removed_brings_down_the_links_under_it(federation: Network) -> None:
    """The partner has two roots for a while; its links under the kept root stay."""
    example, partner = federation.organisations
    old, new = credentials_of(partner, PARTNER_EDGE), partner_under_new_root(example, partner)
    async with Scene(example, EDGE, LinkKind.PARTNER) as scene:
        before, after = await scene.link(old), await scene.link(new)
        entry = partner_entry(example)
        entry["anchors"], entry["crls"] = entry["anchors"][1:], entry["crls"][2:]
        example.write()
        await before.falls()
        assert scene.closed("topology in force") == [before.id]
        await after.stays()
        await scene.refuses(old, "untrusted-issuer")


def partner_entry(example: Organisation) -> Any:
    document: Any = example.document
    return document["federation"]["partners"][0]


def partner_under_new_root(example: Organisation, partner: Organisation) -> Credentials:
    """Let the partner have a second root in our topology, and give its edge a certificate under that."""
    forge, folder = Forge(datetime.now(UTC)), partner.folder / "new"
    issuing = forge.organisation("The partner's new")
    assert issuing.issuer is not None
    folder.mkdir()
    (folder / "root.pem").write_bytes(issuing.issuer.pem_chain)
    (folder / "root.crl").write_bytes(forge.revocations(issuing.issuer))
    (folder / "issuing.crl").write_bytes(forge.revocations(issuing))
    entry = partner_entry(example)
    entry["anchors"].append(str(folder / "root.pem"))
    entry["crls"] += [str(folder / "root.crl"), str(folder / "issuing.crl")]
    example.write()
    return under(issuing, partner, PARTNER_EDGE)


# By time


@on_loop
@pytest.mark.wide
async def test_issuer_that_ends_takes_its_links_along_and_no_others(example: Organisation) -> None:
    """The leaf would be good for weeks."""
    issuing = second_issuing_ca(example, ends=timedelta(days=2))
    end = issuing.certificate.not_valid_after_utc
    async with Scene(example, FE1) as scene:
        brief, other = await scene.link(under(issuing, example, FE2)), await scene.link(credentials_of(example, EDGE))
        ahead = end - datetime.now(UTC)
        scene.node.gatekeeper.clock = lambda: datetime.now(UTC) + ahead
        scene.node.reactor.wall_clock = lambda: time.time() + ahead.total_seconds()
        for link in scene.node.pool.all():
            link.due(link.alarm)  # they look at the clock, as they do each minute
        assert brief.id in {link.id for link in scene.node.pool.all()}  # good to the last moment of that second
        await brief.falls()
        assert scene.node.gatekeeper.clock() > end
        assert scene.told.last("link closed")["why"] == "no longer trusted: expired"
        await other.stays()
        await scene.refuses(brief.credentials, "expired")


# No way around


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@on_loop
async def test_session_of_a_link_that_was_closed_is_no_way_back(example: Organisation, version: ssl.TLSVersion) -> None:
    """The control offers its session too, is judged again all the same, and accepted."""
    async with Scene(example, FE1) as scene:
        stolen, twin = Thief(scene, credentials_of(example, FE2), version), Thief(scene, another(example, FE2), version)
        assert await stolen.knocks() == "200, not resumed"
        assert await twin.knocks() == "200, not resumed"
        revoke(example, leaf_of(credentials_of(example, FE2)))
        await until(lambda: list(scene.told.events("CRLs in force")))
        assert await stolen.knocks() == "refused"
        assert scene.told.last("link refused")["code"] == "revoked"
        assert await twin.knocks() == "200, not resumed"


class Thief:
    """Comes back with the session of the time before, if the server gave one."""

    def __init__(self, scene: Scene, credentials: Credentials, version: ssl.TLSVersion) -> None:
        self._address = scene.organisation.address(scene.name, scene.kind)
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self._context.check_hostname, self._context.verify_mode = False, ssl.CERT_NONE
        self._context.minimum_version = self._context.maximum_version = version
        self._context.load_cert_chain(*credentials)
        self._session: ssl.SSLSession | None = None

    async def knocks(self) -> str:
        return await asyncio.to_thread(self._knock)

    def _knock(self) -> str:
        question = (
            b"OPTIONS sip:example.test SIP/2.0\r\nVia: SIP/2.0/TLS a.test;branch=z9hG4bK1\r\nMax-Forwards: 70\r\n"
            b"From: <sip:a@example.test>;tag=1\r\nTo: <sip:example.test>\r\nCall-ID: 1\r\nCSeq: 1 OPTIONS\r\n"
            b"Content-Length: 0\r\n\r\n"
        )
        plain = socket.create_connection(self._address, timeout=10)
        try:
            with self._context.wrap_socket(plain, session=self._session) as link:
                link.sendall(question)
                answer = link.recv(65_536)
                self._session = link.session
                resumed = "resumed" if link.session_reused else "not resumed"
        except OSError:
            return "refused"
        return f"{answer.split()[1].decode()}, {resumed}" if answer else "refused"


# A call goes on


@pytest.mark.parametrize("method", ["INVITE", "BYE"])
@on_loop
async def test_call_over_a_link_that_was_closed_goes_on_over_a_new_one_under_the_new_certificate(
    pool: Network, method: str
) -> None:
    """fe2 has its new certificate already when the old one is revoked, as after a theft of the key."""
    example = pool.organisations[0]
    async with pool:
        alice, bob = await pool.agent("alice", FE1), await pool.agent("bob", FE2)
        made = await alice.call("bob@example.test")
        came = await ringing(bob)
        assert (await made.answered()).ok
        stolen = leaf_of(credentials_of(example, FE2))
        example.issue(FE2)
        pool.nodes[FE2].put_in_force(example.load())
        revoke(example, stolen)
        [old] = pool.nodes[FE1].revocation.accept_crls({example.folder / "ca" / "issuing.crl"})
        if method == "INVITE":
            assert (await inside(made, "INVITE")).status == 200
            assert (await inside(came, "INVITE")).status == 200
        assert await hung_up_by_the_other(made, came)
        assert old not in {link.id for link in pool.nodes[FE1].pool.all()}


@on_loop
async def test_call_with_a_partner_goes_on_over_its_other_server(federation: Network) -> None:
    """Both of the partner's servers prove its name; the one through which the call came is revoked."""
    example, partner = federation.organisations
    federation.starts = (FE1, EDGE)
    stolen, good = credentials_of(partner, PARTNER_EDGE), another(partner, PARTNER_EDGE)
    async with federation:
        alice = await federation.phone("alice", FE1)
        address = federation.address(EDGE, LinkKind.PARTNER)
        async with (
            await Peer.open(address, "erin@partner.test", stolen) as first,
            await Peer.open(address, "erin@partner.test", good) as second,
        ):
            await answered(second)
            invite = first.request("INVITE", "sip:alice@example.test")
            await first.send(invite)
            rung = await alice.request_in("INVITE")
            await alice.reply(rung, 200)
            assert (await first.final(method="INVITE")).status == 200
            revoke(partner, leaf_of(stolen))
            changed = {example.folder / name for name in example.load().topology.federation.partners[0].crls}
            [_] = federation.nodes[EDGE].revocation.accept_crls(changed)
            await first.hung_up()
            await alice.send(inside_of(Dialog.of_callee(rung, alice.tag), alice, "BYE"))
            await second.reply(await second.request_in("BYE"), 200)
            assert (await alice.final(method="BYE")).status == 200


# The end of a list


EIGHT_DAYS = timedelta(days=8)


def eight_days_on(scene: Scene) -> None:
    """Let the server's clock go on past the end of every list of the issuing CA; certificates live 30 days."""
    scene.node.gatekeeper.clock = lambda: datetime.now(UTC) + EIGHT_DAYS


@on_loop
async def test_expired_crl_blocks_new_links_and_existing_links_outlive_every_judgement(
    example: Organisation,
) -> None:
    """A reload, another topology, and another expired CRL too; the control is a link with a CRL in force."""
    async with Scene(example, FE1) as scene:
        up = await scene.link(credentials_of(example, FE2))
        eight_days_on(scene)
        await scene.refuses(credentials_of(example, EDGE), "revocation-unknown")
        assert scene.node.put_in_force(example.load()) == []
        example.federate(EDGES, [], blocked=("other.test",))
        example.write()
        await until(lambda: list(scene.told.events("topology in force")))
        example.ca.crls.publish(datetime.now(UTC))
        await until(lambda: list(scene.told.events("CRLs in force")))
        assert scene.closed("topology in force") == scene.closed("CRLs in force") == []
        await up.stays()
        example.ca.crls.publish(datetime.now(UTC) + EIGHT_DAYS)
        await until(lambda: len(list(scene.told.events("CRLs in force"))) > 1)
        await (await scene.link(credentials_of(example, EDGE))).stays()
        await up.stays()


@on_loop
async def test_expired_crl_still_closes_links_of_certificates_that_it_lists(example: Organisation) -> None:
    async with Scene(example, FE1) as scene:
        stolen, twin = await scene.link(credentials_of(example, FE2)), await scene.link(another(example, FE2))
        eight_days_on(scene)
        revoke(example, leaf_of(stolen.credentials))
        await stolen.falls()
        assert scene.closed("CRLs in force") == [stolen.id]
        await twin.stays()


@pytest.mark.parametrize("spoil", ["unreadable", "of another key", "missing"])
@on_loop
async def test_crl_that_is_not_valid_ends_the_links_that_need_it_at_any_time(example: Organisation, spoil: str) -> None:
    """The control has another issuing CA, whose CRL has expired and is in order."""
    issuing = second_issuing_ca(example)
    async with Scene(example, FE1) as scene:
        fallen, twin = await scene.link(credentials_of(example, EDGE)), await scene.link(under(issuing, example, FE2))
        eight_days_on(scene)
        put_in_place(example, spoil)
        if spoil == "missing":
            scene.node.put_in_force(example.load())
        await fallen.falls()
        assert scene.told.last("link closed")["code"] == "revocation-unknown"
        await twin.stays()


def put_in_place(example: Organisation, spoil: str) -> None:
    """Spoil the list of the organisation's issuing CA."""
    file = example.folder / "ca" / "issuing.crl"
    if spoil == "missing":
        authority: Any = example.document["authority"]
        authority["crls"].remove("ca/issuing.crl")
        file.unlink()
        example.write()
        return
    forge = Forge(datetime.now(UTC))
    issuing = Forged.read(file.with_suffix(".pem"), file.with_suffix(".key"))
    draft = file.with_suffix(".new")
    draft.write_bytes(
        b"-----BEGIN X509 CRL-----\n"
        if spoil == "unreadable"
        else forge.revocations(issuing, key=forge.organisation("x").key)
    )
    draft.replace(file)
