"""Every impostor with its control, on real connections: both come from one builder and differ in one property.

A refusal tells what was wanted, what was seen and what to do, and not a byte of SIP goes to who was refused.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from OpenSSL import SSL

from attacks.cells import OTHER, SERVED, Model, World, alert_for, running, shared
from sipmesh.client.agent import UserAgent
from sipmesh.client.judge import Trust
from sipmesh.client.outcome import Outcome
from sipmesh.demo.attacker import send_datagram, speak_plainly
from sipmesh.demo.cast import Cast
from sipmesh.demo.decoy import Decoy
from sipmesh.demo.forge import SERVER_AUTH, Forged
from sipmesh.demo.impostors import IMPOSTORS, Credentials, Impostor, front_end, nobody, other_edge, partner_edge
from sipmesh.pki.crl.builder import Reason
from sipmesh.topology.document.changes import block_partner, edit
from sipmesh.trust.code import Code
from sipmesh.trust.evidence import LinkKind
from sipmesh.trust.verdict import LinkRefused, Verdict
from support.network import BOT, EDGE, EXAMPLE, FE1, FE2, PARTNER
from support.peer import Peer
from support.running import on_loop
from support.tiers import wide_after

DAY = timedelta(days=1)
WITHIN_S = 1.0  # rule R7
SERVER, PARTNERS, CLIENT = LinkKind.SERVER, LinkKind.PARTNER, LinkKind.CLIENT

PORTS: tuple[tuple[str, LinkKind, Credentials], ...] = (
    (FE1, CLIENT, nobody),
    (FE1, SERVER, front_end()),
    (EDGE, SERVER, front_end()),
    (EDGE, PARTNERS, partner_edge()),
)
"""Every port there is, with the credentials that are welcome there."""

every_port = pytest.mark.parametrize(
    ("server", "kind", "credentials"),
    PORTS,
    ids=["front-end-client", "front-end-server", "edge-server", "edge-partner"],
)


@pytest.fixture(name="model", scope="module")
def _model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    return Model.build(tmp_path_factory.mktemp("impostors") / EXAMPLE)


@dataclass(frozen=True, slots=True)
class Stage:
    """The network that those share who change nothing in it."""

    runner: asyncio.Runner
    world: World


@pytest.fixture(name="stage", scope="module")
def _stage(model: Model, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with shared(model, tmp_path_factory.mktemp("stage") / EXAMPLE, FE1, EDGE) as (runner, world):
        yield Stage(runner, world)


def explains(verdict: Verdict | None, code: Code) -> None:
    """The verdict has this code, and tells what was wanted, what was seen, by which rule, and what to do (rule R11)."""
    assert verdict is not None
    assert verdict.code is code
    assert not verdict.accepted
    reason = verdict.reason
    assert reason is not None, verdict.findings
    assert all((reason.check, reason.wanted, reason.saw, reason.rule)), reason
    assert verdict.remedies
    assert all(verdict.remedies)


# At our doors


@pytest.mark.parametrize("impostor", IMPOSTORS, ids=lambda impostor: impostor.title.replace(" ", "-"))
def test_impostor_is_refused_and_its_control_is_served(stage: Stage, impostor: Impostor) -> None:
    world = stage.world
    came = stage.runner.run(world.knock_at(impostor.listener, impostor.credentials(world.cast)))
    explains(came.verdict, impostor.wanted)
    assert came.answer == ""
    twin = stage.runner.run(world.knock_at(impostor.listener, impostor.control(world.cast)))
    assert twin.answer == SERVED, twin


@every_port
def test_plain_tcp_gets_no_sip_answer(stage: Stage, server: str, kind: LinkKind, credentials: Credentials) -> None:
    """Its control sends the same to the same port, over TLS."""
    world = stage.world
    address = world.network.address(server, kind)
    plain = stage.runner.run(asyncio.to_thread(speak_plainly, address, server))
    explains(stage.runner.run(world.after(server, plain)).verdict, Code.NOT_TLS)
    assert plain.answer == ""
    assert stage.runner.run(world.knock(server, kind, credentials(world.cast))).answer == SERVED


@every_port
def test_nothing_listens_on_udp(stage: Stage, server: str, kind: LinkKind, credentials: Credentials) -> None:
    """The kernel says so itself; the control is the same port over TLS."""
    world = stage.world
    datagram = stage.runner.run(asyncio.to_thread(send_datagram, world.network.address(server, kind), server))
    assert (datagram.answer, datagram.alert) == ("", "nothing listens on UDP")
    assert stage.runner.run(world.knock(server, kind, credentials(world.cast))).answer == SERVED


@every_port
def test_tls_1_1_is_refused_and_tls_1_2_is_served(
    stage: Stage, server: str, kind: LinkKind, credentials: Credentials
) -> None:
    world = stage.world
    shown = credentials(world.cast)
    came = stage.runner.run(world.knock(server, kind, shown, SSL.TLS1_1_VERSION))
    explains(came.verdict, Code.PROTOCOL_TOO_OLD)
    assert came.answer == ""
    assert "protocol version" in came.alert
    assert stage.runner.run(world.knock(server, kind, shown, SSL.TLS1_2_VERSION)).answer == SERVED


def by_stranger(cast: Cast) -> Forged:
    """Credentials by a CA that no server trusts."""
    return cast.forge.server(cast.stranger, FE2)


OLD = {"begins": -3 * DAY, "ends": -DAY}


@pytest.mark.parametrize(
    ("version", "nobody_is_told"),
    [(SSL.TLS1_2_VERSION, "handshake failure"), (SSL.TLS1_3_VERSION, "certificate required")],
    ids=["1.2", "1.3"],
)
@pytest.mark.parametrize(
    ("server", "kind", "rightful"),
    [(FE1, SERVER, front_end), (EDGE, SERVER, front_end), (EDGE, PARTNERS, partner_edge)],
    ids=["server", "inside", "partner"],
)
def test_alert_on_the_wire_is_the_true_one(
    stage: Stage, server: str, kind: LinkKind, rightful: Callable[..., Credentials], version: int, nobody_is_told: str
) -> None:
    """The operator at the other end reads it in a log of his own (RFC 8446 section 6.2, RFC 5246 section 7.2.2)."""
    address = stage.world.network.address(server, kind)

    def alert(credentials: Credentials) -> str:
        return stage.runner.run(asyncio.to_thread(alert_for, address, credentials(stage.world.cast), version))

    assert "certificate expired" in alert(rightful(**OLD))
    assert "unknown ca" in alert(by_stranger)
    assert nobody_is_told in alert(nobody)
    twin = stage.world.knock(server, kind, rightful()(stage.world.cast), version)
    assert stage.runner.run(twin).answer == SERVED


# Those who change what is in force: each test has a network of its own


def of_fe2(world: World) -> Forged:
    """A new certificate of fe2 by the enterprise CA itself, with its key."""
    world.organisation.issue(FE2)
    folder = world.organisation.folder / "servers"
    return Forged.read(folder / f"{FE2}.pem", folder / f"{FE2}.key", world.cast.ours)


def revoke(world: World, credentials: Forged) -> None:
    """Put the certificate on the list of the enterprise CA."""
    world.organisation.ca.revoke(credentials.certificate.serial_number, Reason.KEY_COMPROMISE, datetime.now(UTC))


@on_loop
async def test_certificate_that_was_revoked_does_not_come_in(model: Model, tmp_path: Path) -> None:
    """Two of one name by one CA: one of them is on the list."""
    async with running(model, tmp_path / "e", FE1) as world:
        stolen, rightful = of_fe2(world), of_fe2(world)
        assert (await world.knock(FE1, SERVER, stolen)).code is Code.ACCEPTED
        revoke(world, stolen)
        world.reload(FE1)
        came = await world.knock(FE1, SERVER, stolen)
        explains(came.verdict, Code.REVOKED)
        assert came.answer == ""
        assert (await world.knock(FE1, SERVER, rightful)).answer == SERVED


@on_loop
async def test_revocation_closes_the_links_of_the_certificate_and_no_others(model: Model, tmp_path: Path) -> None:
    async with running(model, tmp_path / "e", FE1) as world:
        credentials = of_fe2(world)
        fe2, edge = [await world.network.peer(FE1, credentials=name) for name in (FE2, EDGE)]
        await fe2.silent()
        await edge.silent()
        links = {link.peer_name: link for link in world.node(FE1).pool.all()}
        started = time.monotonic()
        revoke(world, credentials)
        assert world.reload(FE1) == [links[FE2].id]
        await fe2.hung_up()
        assert time.monotonic() - started < WITHIN_S
        explains(links[FE2].verdict, Code.REVOKED)
        await edge.silent()
        of_fe2(world)
        await (await world.network.peer(FE1, credentials=FE2)).silent()


@dataclass(frozen=True, slots=True)
class Lists:
    """A list that counts for *credentials* at a port: its file, and the CA that signs it."""

    server: str
    kind: LinkKind
    credentials: Credentials
    file: str
    issuer: Callable[[Cast], Forged | None]


LISTS = {
    "our-issuing-ca": Lists(FE1, SERVER, front_end(), "ca/issuing.crl", lambda cast: cast.ours),
    "our-root": Lists(FE1, SERVER, front_end(), "ca/root.crl", lambda cast: cast.ours.issuer),
    "partner-issuing-ca": Lists(
        EDGE, PARTNERS, partner_edge(), f"partners/{PARTNER}/issuing.crl", lambda cast: cast.partner
    ),
    "partner-root": Lists(
        EDGE, PARTNERS, partner_edge(), f"partners/{PARTNER}/root.crl", lambda cast: cast.partner.issuer
    ),
}
Content = Callable[[Cast, Forged], bytes | None]
"""What is in the file of a list of that CA; None where there is no file."""


def a_list(**changes: Any) -> Content:
    """A list in force, but for *changes*."""
    return lambda cast, issuer: cast.forge.revocations(issuer, begins=-8 * DAY, number=99, **changes)


def by_another_key(cast: Cast, issuer: Forged) -> bytes:
    """A CRL in the name of the CA that another key has signed."""
    return cast.forge.revocations(issuer, begins=-8 * DAY, number=99, key=cast.stranger.key)


USELESS: dict[str, Content] = {
    "missing": lambda _cast, _issuer: None,
    "empty": lambda _cast, _issuer: b"",
    "unreadable": lambda cast, issuer: cast.forge.revocations(issuer)[:-200],
    "past-next-update": a_list(ends=-DAY),
    "by-another-key": by_another_key,
}


def put(world: World, lists: Lists, content: Content) -> None:
    """Have *content* for the list, and the server read it."""
    issuer, file = lists.issuer(world.cast), world.organisation.folder / lists.file
    assert issuer is not None
    made = content(world.cast, issuer)
    file.unlink(missing_ok=True)
    if made is not None:
        file.write_bytes(made)
    world.reload(lists.server)


@pytest.mark.parametrize("content", wide_after(4, USELESS.values()), ids=USELESS)
@pytest.mark.parametrize("lists", wide_after(2, LISTS.values()), ids=LISTS)
@on_loop
async def test_without_a_crl_in_force_no_peer_under_it_is_accepted(
    model: Model, tmp_path: Path, lists: Lists, content: Content
) -> None:
    """Nothing known is refused (rule R12), whichever CA of the chain it is about; the control is a CRL in force."""
    async with running(model, tmp_path / "e", lists.server) as world:
        credentials = lists.credentials(world.cast)
        put(world, lists, content)
        came = await world.knock(lists.server, lists.kind, credentials)
        explains(came.verdict, Code.REVOCATION_UNKNOWN)
        assert came.answer == ""
        put(world, lists, a_list(ends=DAY))
        assert (await world.knock(lists.server, lists.kind, credentials)).answer == SERVED


@pytest.mark.parametrize(("client_usage", "code"), [("strict", Code.WRONG_USAGE), ("server-ok", Code.ACCEPTED)])
@on_loop
async def test_server_only_certificate_comes_in_where_the_partner_may_use_it(
    model: Model, tmp_path: Path, client_usage: str, code: Code
) -> None:
    """The same credentials; the partner's entry differs."""
    async with running(model, tmp_path / "e", EDGE) as world:
        federation: Any = world.organisation.document["federation"]
        federation["partners"][0]["client_usage"] = client_usage
        world.organisation.write()
        world.reload(EDGE)
        came = await world.knock(EDGE, PARTNERS, partner_edge(usages=(SERVER_AUTH,))(world.cast))
        assert came.code is code
        assert came.spoke is (code is Code.ACCEPTED)
        if code is not Code.ACCEPTED:
            explains(came.verdict, code)


@on_loop
async def test_partner_that_is_blocked_is_out_at_once(model: Model, tmp_path: Path) -> None:
    """Its live link is closed, it does not come in again, and the other partner notices nothing."""
    async with running(model, tmp_path / "e", EDGE) as world:
        organisation, address = world.organisation, world.network.address(EDGE, PARTNERS)
        credentials = {name: made(world.cast) for name, made in ((OTHER, other_edge()), (PARTNER, partner_edge()))}
        files = {name: shown.write(tmp_path, name) for name, shown in credentials.items() if shown is not None}
        async with (
            await Peer.open(address, f"olga@{OTHER}", files[OTHER]) as blocked,
            await Peer.open(address, f"erin@{PARTNER}", files[PARTNER]) as twin,
        ):
            await blocked.silent()
            await twin.silent()
            edit(organisation.file, lambda text: block_partner(text, OTHER, organisation.file))
            assert len(world.reload(EDGE)) == 1
            await blocked.hung_up()
            await twin.silent()
        came = await world.knock(EDGE, PARTNERS, credentials[OTHER])
        explains(came.verdict, Code.PARTNER_BLOCKED)
        assert came.answer == ""
        assert (await world.knock(EDGE, PARTNERS, credentials[PARTNER])).answer == SERVED


# On the way to another server


async def write_to(world: World, to: str) -> Outcome:
    """Have alice write from fe1."""
    alice = await world.network.agent("alice", FE1)
    return await alice.message(to, "for nobody else")


@pytest.mark.parametrize(("name", "code"), [("mallory.test", Code.NAME_MISMATCH), (OTHER, Code.ACCEPTED)])
@on_loop
async def test_dns_does_not_decide_who_a_partner_is(model: Model, tmp_path: Path, name: str, code: Code) -> None:
    """SRV leads to a server of the same CA whose certificate is valid, for its own name or for the one meant (rule R9)."""
    async with running(model, tmp_path / "e", FE1, EDGE) as world:
        with Decoy(world.cast.forge.server(world.cast.other, name)) as decoy:
            host, port = decoy.address
            world.network.dns.records[f"_sipfederationtls._tcp.{OTHER}", "SRV"] = [f"1 1 {port} {name}."]
            world.network.dns.records[name, "A"] = [host]
            outcome = await write_to(world, f"sip:olga@{OTHER}")
            assert (outcome.ok, decoy.received) == ((True, 1) if code is Code.ACCEPTED else (False, 0)), outcome
        if code is not Code.ACCEPTED:
            explains(await world.refusal(EDGE, decoy.address), code)


@pytest.mark.parametrize(("issuer", "code"), [("stranger", Code.UNTRUSTED_ISSUER), ("ours", Code.ACCEPTED)])
@on_loop
async def test_man_in_the_middle_between_two_servers(model: Model, tmp_path: Path, issuer: str, code: Code) -> None:
    """He sits at the address of a server of ours, with its name in a certificate of his own."""
    async with running(model, tmp_path / "e", FE1) as world:
        with Decoy(world.cast.forge.server(getattr(world.cast, issuer), BOT)) as decoy:
            pools: Any = world.organisation.document["pools"]
            pools[-1]["servers"][0]["ports"] = {"server": decoy.address[1]}
            world.organisation.write()
            world.reload(FE1)
            outcome = await write_to(world, f"sip:help@{BOT}")
            assert (outcome.ok, decoy.received) == ((True, 1) if code is Code.ACCEPTED else (False, 0)), outcome
        if code is not Code.ACCEPTED:
            explains(await world.refusal(FE1, decoy.address), code)


def served_by(model: Model, issuer: str) -> Decoy:
    """A server at the address of fe1's client port, with its names in a certificate by *issuer*."""
    return Decoy(model.cast.forge.server(getattr(model.cast, issuer), EXAMPLE, FE1), mutual=False)


@on_loop
async def test_man_in_the_middle_between_client_and_server(model: Model) -> None:
    """Our client stops at the attacker's certificate; that of the control is by our CA."""
    trust = Trust.of_pem(model.organisation.root.read_bytes())
    with served_by(model, "stranger") as impostor:
        async with UserAgent(f"alice@{EXAMPLE}", "alice-secret", trust=trust) as agent:
            with pytest.raises(LinkRefused) as refusal:
                await agent.connect(*impostor.address)
        explains(refusal.value.verdict, Code.UNTRUSTED_ISSUER)
        assert impostor.received == 0
    with served_by(model, "ours") as twin:
        async with UserAgent(f"alice@{EXAMPLE}", "alice-secret", trust=trust) as agent:
            await agent.connect(*twin.address)
            assert (await agent.options()).status == 200
