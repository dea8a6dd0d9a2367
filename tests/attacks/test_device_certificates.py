"""Certificates of devices over real TLS: what they prove on client ports, and that they are worth nothing anywhere else."""

from __future__ import annotations

import asyncio
import socket
import ssl
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from sipmesh.demo.cast import stolen
from sipmesh.demo.forge import CLIENT_AUTH, SERVER_AUTH, Forge, Forged, Wish
from sipmesh.demo.organisation import Organisation
from sipmesh.pki.ca_rotation import CaGenerations
from sipmesh.pki.crl.builder import Reason
from sipmesh.server.in_force.home_pools import HomePools
from sipmesh.server.management.device_certificates import revoke_devices
from sipmesh.storage.users.replicated_users import ReplicatedUsers
from sipmesh.storage.users.user_database import Users
from sipmesh.trust.code import Code
from sipmesh.trust.evidence import LinkKind
from sipmesh.trust.verdict import Verdict
from sipmesh.trust.x509.device_identity import DeviceIdentity
from support.network import EDGE, FE1, FE2, POOL, Network, copied, federate, let_remote_users_in
from support.peer import HungUpError, Peer
from support.running import on_loop, until
from trust.network import DEVICES

WITHIN_S = 10.0  # the promise is one second
DAY = timedelta(days=1)
DESK = ("sip:alice@example.test", "sipmesh-device:desk")


@pytest.fixture(name="example")
def _example(example_model: Organisation, tmp_path: Path) -> Organisation:
    made = copied(example_model, tmp_path / "example")
    made.certify_devices()
    return made


def asking(example: Organisation, how: str, *servers: str) -> Network:
    """The network whose *servers* ask for certificates on their client ports."""
    document: Any = example.document
    for pool in document["pools"]:
        for server in pool["servers"]:
            if server["name"] in servers:
                server["client_auth"] = how
    example.write()
    return Network((example,), starts=servers)


def issued(example: Organisation, user: str = "alice", device: str = "desk") -> tuple[Path, Path]:
    """The files of a device, as the CA issues them."""
    made = example.ca.issue_device(DeviceIdentity(f"sip:{user}@example.test", device), datetime.now(UTC))
    return Forged(made.certificate, made.key, stolen(example, "devices")).write(
        example.folder / "d", f"{user}.{device}"
    )


def forged(example: Organisation, issuer: str = "devices", **changes: Any) -> tuple[Path, Path]:
    """What a thief of the key of one of our CAs can make: the certificate of alice's desk with *changes*."""
    wish = Wish("alice@example.test desk", uris=DESK, usages=(CLIENT_AUTH,), extra=(DEVICES,))
    made = Forge(datetime.now(UTC)).forge(wish, stolen(example, issuer), **changes)
    return made.write(example.folder / "d", "forged")


async def phone(network: Network, server: str, user: str, credentials: tuple[Path, Path] | None = None) -> Peer:
    return await Peer.open(network.address(server), f"{user}@example.test", credentials)


async def refused(network: Network, server: str, credentials: tuple[Path, Path] | None, user: str = "alice") -> Verdict:
    """Connect, see that no SIP is answered, and return the verdict."""
    network.nodes[server].gatekeeper.refusals.clear()
    with pytest.raises((HungUpError, OSError)):
        async with await phone(network, server, user, credentials) as peer:
            await peer.register()
    await until(lambda: any(True for _ in network.nodes[server].gatekeeper.refused()))
    return next(iter(network.nodes[server].gatekeeper.refused()))


def explains(verdict: Verdict, code: Code) -> None:
    """The code, and all that an operator needs beside it."""
    assert verdict.code is code, verdict.findings
    assert verdict.reason is not None
    assert all((verdict.reason.wanted, verdict.reason.saw, verdict.reason.rule, *verdict.remedies))
    assert verdict.remedies


# What a device may do


@pytest.mark.parametrize("how", ["either", "certificate"])
@on_loop
async def test_device_needs_no_password_and_its_user_is_asserted(example: Organisation, how: str) -> None:
    """The same as after a login by digest: the callee's server gets P-Asserted-Identity, and the phone its registration."""
    async with asking(example, how, FE1) as network:
        bob = await phone(network, FE1, "bob", issued(example, "bob"))
        async with await phone(network, FE1, "alice", issued(example)) as alice, bob:
            assert (await bob.ask(bob._register(()))).status == 200
            answer = await alice.ask(alice._register(()))
            assert (answer.status, answer.values("www-authenticate")) == (200, [])
            await alice.send(alice.request("MESSAGE", "sip:bob@example.test", body=b"hello"))
            came = await bob.request_in("MESSAGE")
            assert came.values("p-asserted-identity") == ["<sip:alice@example.test>"]
            await bob.reply(came, 200)
            assert (await alice.final()).status == 200
            (verdict,) = [link.verdict for link in network.nodes[FE1].pool.all() if link.remote == alice.address]
            assert verdict is not None
            assert verdict.subject == "desk of sip:alice@example.test"
            assert "device" in [finding.check for finding in verdict.findings]


@on_loop
async def test_device_may_present_its_own_certificate_alone(example: Organisation) -> None:
    """As linphone does. The servers have the certificate of its CA from the topology."""
    chain, key = issued(example)
    leaf = chain.with_suffix(".leaf.pem")
    leaf.write_text(chain.read_text().split("-----END CERTIFICATE-----")[0] + "-----END CERTIFICATE-----\n")
    async with asking(example, "certificate", FE1) as network, await phone(network, FE1, "alice", (leaf, key)) as peer:
        assert (await peer.ask(peer._register(()))).status == 200


@on_loop
async def test_password_counts_where_either_is_asked_for(example: Organisation) -> None:
    async with asking(example, "either", FE1) as network, await phone(network, FE1, "alice") as peer:
        assert (await peer.ask(peer._register(()))).status == 401
        assert (await peer.register()).status == 200


@on_loop
async def test_password_does_not_count_where_a_certificate_is_asked_for(example: Organisation) -> None:
    async with asking(example, "certificate", FE1) as network:
        explains(await refused(network, FE1, None), Code.NO_CERTIFICATE)
        async with await phone(network, FE1, "alice", issued(example)) as peer:
            assert (await peer.register(password="wrong")).status == 200


@on_loop
async def test_port_that_is_not_set_so_asks_for_no_certificate(example: Organisation) -> None:
    """Rule R3. A phone with a certificate is not asked for it, and needs its password."""
    async with asking(example, "password", FE1) as network, await phone(network, FE1, "alice", issued(example)) as peer:
        assert (await peer.ask(peer._register(()))).status == 401
        assert (await peer.register()).status == 200
        assert not any(link.peer.evidence.presented for link in network.nodes[FE1].pool.all() if link.peer.evidence)


@on_loop
async def test_device_of_alice_is_no_other_user(example: Organisation) -> None:
    """Neither bob with his password, nor bob in From, nor a hidden sender who is not alice."""
    async with asking(example, "either", FE1) as network, await phone(network, FE1, "bob", issued(example)) as peer:
        answer = await peer.register()
        assert (answer.status, answer.values("www-authenticate")) == (403, [])
        sent = await peer.ask(peer.request("MESSAGE", "sip:alice@example.test", body=b"I am bob"))
        assert sent.status == 403
        hidden = peer.request("MESSAGE", "sip:bob@example.test", sender="<sip:anonymous@anonymous.invalid>;tag=1")
        assert (await peer.ask(hidden)).status in {202, 480}
        (sender,) = [flow.users for flow in network.nodes[FE1].flow_table.sessions()]
        assert sender == {"sip:alice@example.test"}


@on_loop
async def test_device_is_served_while_the_users_are_not_known(example: Organisation) -> None:
    """As before management has sent them: a password cannot be judged, 503. The certificate and its CRL can."""
    async with asking(example, "either", FE1) as network:
        current = network.nodes[FE1].current
        nothing_yet = HomePools(ReplicatedUsers("Example", POOL), current.value.view)
        current.value = replace(current.value, homes=nothing_yet)
        async with await phone(network, FE1, "alice") as by_password:
            assert (await by_password.ask(by_password._register(()))).status == 503
        async with await phone(network, FE1, "alice", issued(example)) as device:
            assert (await device.ask(device._register(()))).status == 200


@on_loop
async def test_device_of_a_user_who_is_removed_is_refused(example: Organisation) -> None:
    """Also where the CA could not revoke it."""
    async with asking(example, "either", FE1) as network:
        users = Users(example.load().users_url)
        async with (
            await phone(network, FE1, "alice", issued(example)) as up,
            await phone(network, FE1, "bob", issued(example, "bob")) as bob,
        ):
            assert (await up.ask(up._register(()))).status == (await bob.ask(bob._register(()))).status == 200
            users.remove("sip:alice@example.test")
            await network.nodes[FE1].user_updates.refresh()
            await up.hung_up()
            assert (await bob.ask(bob._register(()))).status == 200
        async with await phone(network, FE1, "alice", issued(example, device="mobile")) as again:
            answer = await again.ask(again._register(()))
            assert (answer.status, answer.reason) == (403, "User Is Removed")
        users.close()
        (failure,) = network.nodes[FE1].logins.remembered.newest(9)
        assert failure.flaw == "the user of the device is removed, or has another home pool"


@on_loop
async def test_devices_of_a_user_who_is_disabled_are_revoked(example: Organisation) -> None:
    """As `sipmesh user disable` and the console do it, besides that the user is disabled."""
    desk, mobile = issued(example), issued(example, device="mobile")
    async with asking(example, "either", FE1) as network:
        async with (
            await phone(network, FE1, "alice", desk) as first,
            await phone(network, FE1, "alice", mobile) as second,
            await phone(network, FE1, "bob", issued(example, "bob")) as bob,
        ):
            for peer in (first, second, bob):
                assert (await peer.ask(peer._register(()))).status == 200
            generations, reason = CaGenerations(example.folder / "ca"), Reason.CESSATION_OF_OPERATION
            revoke_devices(generations, ("alice@example.test",), reason, datetime.now(UTC), lambda *_, **__: None)
            network.nodes[FE1].put_in_force(example.load())
            await first.hung_up()
            await second.hung_up()
            assert (await bob.ask(bob._register(()))).status == 200
        explains(await refused(network, FE1, mobile), Code.REVOKED)


@on_loop
async def test_user_who_is_disabled_is_out_also_while_the_certificate_is_not_revoked(example: Organisation) -> None:
    """The CA may be away. The control is the device of another user, and the same device once the user is enabled."""
    desk = issued(example)
    users = Users(example.load().users_url)
    async with asking(example, "either", FE1) as network:
        refresh = network.nodes[FE1].user_updates.refresh
        async with (
            await phone(network, FE1, "alice", desk) as first,
            await phone(network, FE1, "bob", issued(example, "bob")) as bob,
        ):
            for peer in (first, bob):
                assert (await peer.ask(peer._register(()))).status == 200
            users.disable("sip:alice@example.test", datetime.now(UTC))
            await refresh()
            await first.hung_up()
            assert (await bob.ask(bob._register(()))).status == 200
        async with await phone(network, FE1, "alice", desk) as again:
            answer = await again.ask(again._register(()))
            assert (answer.status, answer.reason) == (403, "User Is Disabled")
        users.enable("sip:alice@example.test")
        users.close()
        await refresh()
        async with await phone(network, FE1, "alice", desk) as again:
            assert (await again.ask(again._register(()))).status == 200


@on_loop
async def test_new_password_of_the_user_does_not_end_the_link_of_a_device(example: Organisation) -> None:
    async with asking(example, "either", FE1) as network:
        users = Users(example.load().users_url)
        async with (
            await phone(network, FE1, "alice", issued(example)) as device,
            await phone(network, FE1, "alice") as by_password,
        ):
            assert (await device.ask(device._register(()))).status == (await by_password.register()).status == 200
            users.set_password("sip:alice@example.test", "another password for alice")
            await network.nodes[FE1].user_updates.refresh()
            await by_password.hung_up()
            assert (await device.ask(device._register(()))).status == 200
        users.close()


# What is no device


def below(example: Organisation) -> tuple[Path, Path]:
    """A chain that is one CA longer than the path length of the device issuing CA allows."""
    forge = Forge(datetime.now(UTC))
    lower = forge.authority("lower", stolen(example, "devices"), usages=(CLIENT_AUTH,), extra=(DEVICES,))
    wish = Wish("alice", uris=DESK, usages=(CLIENT_AUTH,), extra=(DEVICES,))
    return forge.forge(wish, lower).write(example.folder / "d", "below")


def by_a_front_end(example: Organisation) -> tuple[Path, Path]:
    """What a thief of the key of a front end can sign: no CA is on a front end."""
    thief = Forged.read(*example.credentials(FE2), stolen(example))
    wish = Wish("alice@example.test desk", uris=DESK, usages=(CLIENT_AUTH,), extra=(DEVICES,))
    return Forge(datetime.now(UTC)).forge(wish, thief).write(example.folder / "d", "signed")


def strange(example: Organisation) -> tuple[Path, Path]:
    """By the CA of another organisation, such as a partner."""
    forge = Forge(datetime.now(UTC))
    wish = Wish("alice", uris=DESK, usages=(CLIENT_AUTH,), extra=(DEVICES,))
    return forge.forge(wish, forge.organisation("Partner")).write(example.folder / "d", "strange")


BAD: dict[str, tuple[Callable[[Organisation], tuple[Path, Path]], Code]] = {
    "a server": (lambda e: e.credentials(FE2), Code.NOT_A_DEVICE),
    "alice by the issuing CA of servers": (lambda e: forged(e, "issuing"), Code.NOT_A_DEVICE),
    "alice in the common name only": (lambda e: forged(e, uris=()), Code.NOT_A_DEVICE),
    "bob in the common name beside the names of a server": (
        lambda e: forged(e, common_name="bob@example.test desk", uris=(), dns=(FE1,)),
        Code.NOT_A_DEVICE,
    ),
    "two users": (lambda e: forged(e, uris=(*DESK, "sip:bob@example.test")), Code.NOT_A_DEVICE),
    "a SIP domain": (lambda e: forged(e, uris=("sip:example.test", DESK[1])), Code.NOT_A_DEVICE),
    "a user of a domain below ours": (
        lambda e: forged(e, uris=("sip:alice@sub.example.test", DESK[1])),
        Code.NOT_A_DEVICE,
    ),
    "a user of another domain": (
        lambda e: forged(e, uris=("sip:alice@partner.test", DESK[1])),
        Code.ISSUER_NOT_FOR_THIS_NAME,
    ),
    "without the policy": (lambda e: forged(e, extra=()), Code.NOT_A_DEVICE),
    "expired": (lambda e: forged(e, begins=-3 * DAY, ends=-DAY), Code.EXPIRED),
    "not yet valid": (lambda e: forged(e, begins=DAY), Code.NOT_YET_VALID),
    "for serverAuth": (lambda e: forged(e, usages=(SERVER_AUTH,)), Code.WRONG_USAGE),
    "a CA": (lambda e: forged(e, ca=True), Code.NOT_A_LEAF),
    "by the key of a front end": (by_a_front_end, Code.UNTRUSTED_ISSUER),
    "below a CA that the device issuing CA has made": (below, Code.UNTRUSTED_ISSUER),
    "by a stranger": (strange, Code.UNTRUSTED_ISSUER),
}


@pytest.mark.parametrize("how", ["either", "certificate"])
@on_loop
async def test_other_certificates_are_refused_at_a_client_port(example: Organisation, how: str) -> None:
    async with asking(example, how, FE1) as network:
        for make, code in BAD.values():
            explains(await refused(network, FE1, make(example)), code)
            async with await phone(network, FE1, "alice", forged(example)) as twin:
                assert (await twin.ask(twin._register(()))).status == 200


# Where a device is refused


@pytest.mark.parametrize(
    ("server", "kind"), [(FE1, LinkKind.SERVER), (EDGE, LinkKind.SERVER), (EDGE, LinkKind.PARTNER)]
)
@pytest.mark.parametrize("named", ["alice", FE2])
@on_loop
async def test_device_is_refused_at_the_ports_of_servers(
    example: Organisation, partner_model: Organisation, tmp_path: Path, server: str, kind: LinkKind, named: str
) -> None:
    """Also with the names of a server, by a thief of the key of the device issuing CA."""
    partner = copied(partner_model, tmp_path / "partner")
    federate(example, partner)
    names: dict[str, Any] = (
        {} if named == "alice" else {"uris": (f"sip:{named}",), "dns": (named,), "common_name": named}
    )
    network = asking(example, "either", FE1)
    network.starts = (FE1, EDGE)
    async with network:
        address = network.address(server, kind)
        with pytest.raises((HungUpError, OSError)):
            async with await Peer.open(address, "alice@example.test", forged(example, **names)) as peer:
                await peer.silent()
        await until(lambda: bool(network.nodes[server].gatekeeper.refusals))
        explains(network.nodes[server].gatekeeper.refusals[-1], Code.DEVICE_CERTIFICATE)


# Revocation


@on_loop
async def test_revoked_device_is_closed_at_once_and_the_others_of_its_user_live(example: Organisation) -> None:
    desk, mobile = issued(example), issued(example, device="mobile")
    async with asking(example, "either", FE1) as network:
        async with await phone(network, FE1, "alice", desk) as lost, await phone(network, FE1, "alice", mobile) as kept:
            for peer in (lost, kept):
                assert (await peer.ask(peer._register(()))).status == 200
            records = [one for one in example.ca.certificates if one.names[1:] == ("desk",)]
            began = time.monotonic()
            example.ca.revoke_all(records, Reason.KEY_COMPROMISE, datetime.now(UTC))
            network.nodes[FE1].put_in_force(example.load())
            await lost.hung_up()
            assert time.monotonic() - began < WITHIN_S
            assert (await kept.ask(kept._register(()))).status == 200
        explains(await refused(network, FE1, desk), Code.REVOKED)


@on_loop
async def test_session_of_a_revoked_device_is_not_resumed(example: Organisation) -> None:
    """No session is resumed at all, so each handshake presents the certificate."""
    desk = issued(example)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.maximum_version = ssl.TLSVersion.TLSv1_2  # with TLS 1.3 a session comes with the first ticket
    context.load_cert_chain(*desk)
    async with asking(example, "either", FE1) as network:
        _reader, writer = await asyncio.open_connection(*network.address(FE1), ssl=context)
        held = writer.get_extra_info("ssl_object").session
        writer.close()
        records = [one for one in example.ca.certificates if one.names[1:] == ("desk",)]
        example.ca.revoke_all(records, Reason.KEY_COMPROMISE, datetime.now(UTC))
        network.nodes[FE1].put_in_force(example.load())
        came = await asyncio.to_thread(resumed, context, network.address(FE1), held)
        assert came == (False, b"")
        explains(next(iter(network.nodes[FE1].gatekeeper.refused())), Code.REVOKED)


def resumed(context: ssl.SSLContext, address: tuple[str, int], held: ssl.SSLSession) -> tuple[bool, bytes]:
    """Connect with the session *held*; returns whether it was resumed, and what the server says."""
    with socket.create_connection(address) as sock, context.wrap_socket(sock, session=held) as tls:
        return tls.session_reused or False, tls.recv(100)


@on_loop
async def test_links_end_when_the_port_asks_otherwise(example: Organisation) -> None:
    """A version that asks for no certificate any more ends what counted by one; a version that asks for one ends passwords."""
    network = asking(example, "either", FE1)
    async with (
        network,
        await phone(network, FE1, "alice", issued(example)) as device,
        await phone(network, FE1, "bob") as bob,
    ):
        assert (await device.ask(device._register(()))).status == (await bob.register()).status == 200
        asking(example, "certificate", FE1)
        network.nodes[FE1].put_in_force(example.load())
        await bob.hung_up()
        assert (await device.ask(device._register(()))).status == 200
        asking(example, "password", FE1)
        network.nodes[FE1].put_in_force(example.load())
        await device.hung_up()


# At an edge


@on_loop
async def test_edge_asks_for_a_certificate_beside_the_password(example: Organisation) -> None:
    """It proves no user (rule R10): the home pool asks for the password. The certificate says which user may try."""
    let_remote_users_in(example)
    network = asking(example, "certificate", EDGE)
    network.starts = (FE1, EDGE)
    async with network:
        explains(await refused(network, EDGE, None), Code.NO_CERTIFICATE)
        async with await phone(network, EDGE, "alice", issued(example)) as peer:
            first = await peer.ask(peer._register(()))
            assert first.status == 401
            assert (await peer.register()).status == 200
        async with await phone(network, EDGE, "bob", issued(example)) as thief:
            assert (await thief.register()).status == 403
