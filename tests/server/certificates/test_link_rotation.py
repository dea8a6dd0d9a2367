"""A server's certificate changes during operation: no link is lost, and a certificate that peers refuse is not presented."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509

from sipmesh.demo.organisation import Organisation
from sipmesh.pki.authority import EnterpriseCa
from sipmesh.pki.crl.builder import Reason
from sipmesh.pki.issued import Issued
from sipmesh.server.certificates.own_certificates import NOT_TAKEN
from sipmesh.topology.view import certificate_names
from sipmesh.transport.link.link import Link
from sipmesh.trust.evidence import Direction, LinkKind
from sipmesh.trust.role import Role
from support.network import BOT, EDGE, FE1, FE2, Network, text
from support.running import on_jumping_loop, on_loop, until
from support.tiers import wide_after

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)


def files(example: Organisation, server: str = FE1) -> tuple[Path, Path]:
    return example.folder / "servers" / f"{server}.pem", example.folder / "servers" / f"{server}.key"


def issue(example: Organisation, server: str = FE1, ca: EnterpriseCa | None = None) -> Issued:
    """Issue the certificate of *server*, by the organisation's CA or by another."""
    names = certificate_names(example.load().topology, server)
    return (ca or example.ca).issue(names, Role.FRONT_END, datetime.now(UTC))


def good(example: Organisation) -> None:
    issue(example).write(*files(example))


def with_another_key(example: Organisation) -> None:
    files(example)[0].write_bytes(issue(example).chain)


def of_another_name(example: Organisation) -> None:
    issue(example, FE2).write(*files(example))


def ended(example: Organisation) -> None:
    names = certificate_names(example.load().topology, FE1)
    example.ca.issue(names, Role.FRONT_END, datetime.now(UTC) - 4 * MINUTE, MINUTE).write(*files(example))


def not_begun(example: Organisation) -> None:
    names = certificate_names(example.load().topology, FE1)
    example.ca.issue(names, Role.FRONT_END, datetime.now(UTC) + HOUR).write(*files(example))


def of_a_stranger(example: Organisation) -> None:
    """A CA with the same name."""
    folder = example.folder / "stranger"
    stranger = EnterpriseCa.create(folder, example.domain, datetime.now(UTC), crl_base="http://crl.test")
    issue(example, FE1, stranger).write(*files(example))


def revoked(example: Organisation) -> None:
    made = issue(example)
    made.write(*files(example))
    example.ca.revoke(made.certificate.serial_number, Reason.KEY_COMPROMISE, datetime.now(UTC))


@pytest.mark.parametrize(
    ("lay", "reason"),
    wide_after(
        3,
        [
            (with_another_key, "the key does not belong to the certificate"),
            (of_another_name, "name-mismatch"),
            (ended, "expired"),
            (not_begun, "not-yet-valid"),
            (of_a_stranger, "untrusted-issuer"),
            (revoked, "revoked"),
        ],
    ),
)
@on_loop
async def test_certificate_that_peers_would_refuse_is_not_presented_and_a_good_one_is(
    pool: Network, lay: Callable[[Organisation], None], reason: str
) -> None:
    example = pool.organisations[0]
    async with pool:
        node, told = pool.nodes[FE1], pool.told[FE1]
        alice, bob = await pool.agent("alice", FE1), await pool.agent("bob", FE2)
        assert (await alice.message("bob@example.test", "before")).ok
        before, links = await shown(pool, LinkKind.SERVER), ids(pool)
        lay(example)
        assert node.put_in_force(example.load()) == []
        assert reason in told.last(NOT_TAKEN)["why"]
        assert told.last(NOT_TAKEN)["remedy"] == f"sipmesh ca issue {FE1}"
        assert reason in node.use().shown[False].fault
        assert [await shown(pool, kind) for kind in (LinkKind.CLIENT, LinkKind.SERVER)] == [before, before]
        good(example)
        assert node.put_in_force(example.load()) == []
        assert not node.use().shown[False].fault
        assert [await shown(pool, kind) for kind in (LinkKind.CLIENT, LinkKind.SERVER)] == [laid(example)] * 2
        assert (await alice.message("bob@example.test", "after")).ok
        assert [(await text(bob)).text for _ in range(2)] == ["before", "after"]
        assert links <= ids(pool)


@on_loop
@pytest.mark.wide
async def test_rotation_during_a_call_loses_no_link_and_new_links_present_the_new_certificate(pool: Network) -> None:
    example = pool.organisations[0]
    async with pool:
        alice, _ = await pool.agent("alice", FE1), await pool.agent("bob", FE2)
        call = await alice.call("bob@example.test")
        assert (await call.answered()).ok
        links = ids(pool)
        assert links
        for turn in range(5):
            for name in (FE1, FE2):
                example.issue(name)
                assert pool.nodes[name].put_in_force(example.load()) == []
                assert (await alice.message("bob@example.test", f"{turn} {name}")).ok
        assert ids(pool) == links
        assert (await call.hang_up()) is not None
        assert await shown(pool, LinkKind.CLIENT) == await shown(pool, LinkKind.SERVER) == laid(example)
        for link in pool.nodes[FE1].pool.all():
            if link.kind is LinkKind.SERVER:
                link.close("so that a new one is opened")
        assert (await alice.message("bob@example.test", "over a new link")).ok
        [seen] = [
            link.verdict.seen
            for link in pool.nodes[FE2].pool.all()
            if link.peer_name == FE1 and link.verdict is not None
        ]
        assert seen is not None
        assert int(seen.serial_hex, 16) == laid(example).serial_number


@pytest.mark.soak
@on_loop
async def test_sixty_rotations_under_messages_lose_no_message_and_no_link(pool: Network) -> None:
    """One a second for a minute, but as fast as they can be made."""
    example = pool.organisations[0]
    async with pool:
        alice, _ = await pool.agent("alice", FE1), await pool.agent("bob", FE2)
        assert (await alice.message("bob@example.test", "first")).ok
        links, over = ids(pool), asyncio.Event()
        sent: list[int | None] = []

        async def talk() -> None:
            while not over.is_set():
                sent.append((await alice.message("bob@example.test", f"{len(sent)}")).status)

        talking = asyncio.create_task(talk())
        for _ in range(30):
            for name in (FE1, FE2):
                example.issue(name)
                assert pool.nodes[name].put_in_force(example.load()) == []
            await five_more(sent)
        over.set()
        await talking
        assert set(sent) == {200}
        assert ids(pool) == links
        print(f"{len(sent)} messages during 60 rotations, none lost; {len(links)} links, none closed")  # noqa: T201


@on_loop
async def test_new_crl_is_in_force_although_a_new_certificate_cannot_be_used(pool: Network) -> None:
    """A bad certificate of ours must not stop a revocation of another one."""
    example = pool.organisations[0]
    async with pool:
        alice = await pool.agent("alice", FE1)
        await pool.agent("bob", FE2)
        assert (await alice.message("bob@example.test", "one")).ok
        with_another_key(example)
        [theirs, *_] = x509.load_pem_x509_certificates(files(example, FE2)[0].read_bytes())
        example.ca.revoke(theirs.serial_number, Reason.KEY_COMPROMISE, datetime.now(UTC))
        between = [link.id for link in pool.nodes[FE1].pool.all() if link.peer_name == FE2]
        assert between
        assert set(pool.nodes[FE1].put_in_force(example.load())) == set(between)


@on_loop
async def test_certificate_that_becomes_valid_later_is_used_without_a_file_change(home: Network) -> None:
    """For example a certificate that was not valid yet; here its key arrives later, without an event."""
    example = home.organisations[0]
    async with home:
        node, issued = home.nodes[FE1], issue(example)
        files(example)[0].write_bytes(issued.chain)
        assert not node.certificates.would_change(datetime.now(UTC))
        node.put_in_force(example.load())
        assert not node.certificates.would_change(datetime.now(UTC))
        issued.write(*files(example))
        assert node.certificates.would_change(datetime.now(UTC))
        node.put_in_force(example.load())
        assert not node.certificates.would_change(datetime.now(UTC))


@pytest.mark.parametrize(("name", "reason"), [("sip.example.test", ""), ("sip.other.test", "name-mismatch")])
@on_loop
async def test_certificate_for_partners_may_come_from_another_ca_and_must_have_our_names(
    federation: Network, name: str, reason: str
) -> None:
    """Only partners know its anchor; we check its names."""
    example = federation.of(EDGE)
    abroad = EnterpriseCa.create(example.folder / "abroad", "Abroad", datetime.now(UTC), crl_base="http://crl.test")
    async with federation:
        node = federation.nodes[EDGE]
        inside = node.use().shown[False].leaf
        edge = example.document["pools"][1]["servers"][0]  # type: ignore[index]  # as written by build_example
        edge["outside"] = {"certificate": "servers/out.pem", "key": "servers/out.key"}
        issued = abroad.issue([name], Role.EDGE, datetime.now(UTC))
        issued.write(example.folder / "servers" / "out.pem", example.folder / "servers" / "out.key")
        example.write()
        node.put_in_force(example.load())
        outside = node.use().shown[True]
        assert outside.fault.startswith(reason) if reason else not outside.fault
        assert outside.leaf is not None
        assert (outside.leaf == inside) is bool(reason)
        assert node.use().shown[False].leaf == inside


@on_loop
async def test_link_under_an_old_certificate_is_replaced_before_expiry_without_message_loss(
    pool: Network,
) -> None:
    """The new link opens first; requests use it as soon as it is up, and the old link closes when it is quiet."""
    example = pool.organisations[0]
    async with pool:
        alice, bob = await pool.agent("alice", FE1), await pool.agent("bob", FE2)
        assert (await alice.message("bob@example.test", "one")).ok
        node, end = pool.nodes[FE1], laid(example).not_valid_after_utc
        node.certificates.rotation.quiet_s = 0
        [old] = opened(pool)
        example.issue(FE1)
        node.put_in_force(example.load())
        assert node.certificates.replace_links(end - 2 * HOUR) == []
        assert opened(pool) == [old]
        node.certificates.replace_links(end - HOUR)
        assert len(opened(pool)) == 2
        assert (await alice.message("bob@example.test", "two")).ok
        await until(lambda: node.certificates.replace_links(end - HOUR) == [old.id])
        assert (await alice.message("bob@example.test", "three")).ok
        [new] = opened(pool)
        assert new is not old
        assert new.peer.confirmed
        assert [(await text(bob)).text for _ in range(3)] == ["one", "two", "three"]
        assert node.certificates.replace_links(end) == []
        assert opened(pool) == [new]


@on_jumping_loop
async def test_keepalives_do_not_keep_an_old_link(pool: Network) -> None:
    """Servers send one in each second; a link is quiet if no message has passed."""
    example = pool.organisations[0]
    async with pool:
        alice, _ = await pool.agent("alice", FE1), await pool.agent("bob", FE2)
        assert (await alice.message("bob@example.test", "one")).ok
        node, end = pool.nodes[FE1], laid(example).not_valid_after_utc
        [old] = opened(pool)
        example.issue(FE1)
        node.put_in_force(example.load())
        node.certificates.replace_links(end - HOUR)
        await asyncio.sleep(2.1)  # not at the instant at which a keepalive waits to be written
        assert node.certificates.replace_links(end - HOUR) == [old.id]


@on_loop
async def test_link_with_a_ringing_call_is_not_drained(pool: Network) -> None:
    example = pool.organisations[0]
    async with pool:
        bob = await pool.phone("bob", FE2)
        alice = await pool.phone("alice", FE1)
        node, end = pool.nodes[FE1], laid(example).not_valid_after_utc
        node.certificates.rotation.quiet_s = 0
        await alice.send(alice.request("INVITE", "sip:bob@example.test"))
        invite = await bob.request_in("INVITE")
        example.issue(FE1)
        node.put_in_force(example.load())
        node.certificates.replace_links(end)
        await until(lambda: len([link for link in opened(pool) if link.peer.confirmed]) == 2)
        assert node.certificates.replace_links(end) == []
        await bob.reply(invite, 200)
        assert (await alice.final()).status == 200


@on_loop
async def test_old_link_stays_if_the_new_one_cannot_be_opened(pool: Network) -> None:
    """It is dialled again after a minute, not at each step."""
    example = pool.organisations[0]
    async with pool:
        alice, _ = await pool.agent("alice", FE1), await pool.agent("bob", FE2)
        assert (await alice.message("bob@example.test", "one")).ok
        node, end = pool.nodes[FE1], laid(example).not_valid_after_utc
        node.certificates.rotation.quiet_s = 0
        [old] = opened(pool)
        example.issue(FE1)
        node.put_in_force(example.load())
        for listener in pool.nodes[FE2].listening.listeners:
            listener.close()
        node.certificates.replace_links(end - HOUR)
        await until(lambda: opened(pool) == [old])
        assert node.certificates.replace_links(end - HOUR + MINUTE / 2) == []
        assert opened(pool) == [old]
        assert (await alice.message("bob@example.test", "two")).ok


def opened(network: Network) -> list[Link]:
    """The links that fe1 has opened."""
    return [link for link in network.nodes[FE1].pool.all() if link.direction is Direction.OPENED]


async def five_more(sent: list[int | None]) -> None:
    """Wait until that many more messages have arrived."""
    wanted = len(sent) + 5
    await until(lambda: len(sent) >= wanted)


def ids(network: Network) -> set[str]:
    """Every link that has carried a message."""
    return {link.id for node in network.nodes.values() for link in node.pool.all() if link.messages_in}


def laid(example: Organisation) -> x509.Certificate:
    """The certificate in the file of fe1."""
    return x509.load_pem_x509_certificates(files(example)[0].read_bytes())[0]


async def shown(network: Network, kind: LinkKind) -> x509.Certificate:
    """The leaf that fe1 presents on a new link."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.load_cert_chain(*files(network.organisations[0], BOT))
    _, writer = await asyncio.open_connection(*network.address(FE1, kind), ssl=context)
    tls: ssl.SSLObject = writer.get_extra_info("ssl_object")
    leaf = tls.getpeercert(binary_form=True)
    writer.close()
    await writer.wait_closed()
    assert leaf is not None
    return x509.load_der_x509_certificate(leaf)
