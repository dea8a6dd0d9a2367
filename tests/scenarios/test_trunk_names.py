"""Trunks that know the gateway by a name of their own: its certificate, its port, and the name in each message."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

from sipmesh.client.dialog import Dialog
from sipmesh.demo.forge import Forge
from sipmesh.demo.organisation import Organisation
from sipmesh.demo.ports import HOST, free_port
from sipmesh.trust.evidence import LinkKind
from sipmesh.trust.x509.sip_identity import alternative_names
from support.descriptions import SDES, SDP
from support.network import EXAMPLE, FE1, Network
from support.peer import HungUpError, Peer
from support.running import on_loop
from support.talking import inside_of
from support.trunks import ALICE, GATEWAY, GATEWAYS, OF_PBX, OUTSIDE, PBX, PROVIDER, PlayedTrunk, with_trunks

OFFER = [("content-type", SDP)]
AT_PROVIDER, AT_PBX = "sbc1.example.test", "sbc2.example.test"
OURS = {PROVIDER: AT_PROVIDER, PBX: AT_PBX}
CALLER = {PROVIDER: OUTSIDE, PBX: OF_PBX}


@pytest.fixture(name="network")
def _network(trunk_models: dict[str, Organisation], provider: PlayedTrunk, pbx: PlayedTrunk, tmp_path: Path) -> Network:
    """A provider and a PBX that know the gateway by one name each, both on the port for all."""
    example = with_trunks(trunk_models[EXAMPLE], provider, pbx, tmp_path / "example")
    network = Network((example,), starts=(FE1, GATEWAY))
    for name, host in OURS.items():
        trunk_of(network, name)["host"] = host
    example.write()
    example.issue(GATEWAY)
    return network


def trunk_of(network: Network, name: str) -> dict[str, Any]:
    """The keys of a trunk in the document."""
    federation: Any = network.organisations[0].document["federation"]
    found: dict[str, Any] = next(one["trunk"] for one in federation["partners"] if one["domains"] == [name])
    return found


def with_certificates(network: Network, folder: Path) -> None:
    """Give the gateway a certificate of a public CA for each trunk, with the name that it has there alone."""
    forge, example = Forge(datetime.now(UTC)), network.organisations[0]
    ca = forge.organisation("Public")
    folder.mkdir()
    pairs = []
    for name, host in OURS.items():
        chain, key = forge.server(ca, host).write(folder, host)
        pairs.append({"partner": name, "certificate": str(chain), "key": str(key)})
    document: Any = example.document
    servers = [server for pool in document["pools"] for server in pool["servers"]]
    next(one for one in servers if one["name"] == GATEWAY).setdefault("outside", {})["partners"] = pairs
    example.write()
    example.issue(GATEWAY)  # without the names that have a certificate of their own now


def with_port(network: Network, name: str) -> int:
    """Give a trunk a port of its own."""
    port: int = trunk_of(network, name).setdefault("port", free_port())
    network.organisations[0].write()
    return port


async def shown(trunk: PlayedTrunk, address: tuple[str, int], sni: str) -> list[str]:
    """The names in the certificate that a trunk gets which asks for *sni*."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.load_cert_chain(*trunk.organisation.credentials(trunk.name))
    _, writer = await asyncio.open_connection(*address, ssl=context, server_hostname=sni)
    der = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    writer.close()
    names = alternative_names(x509.load_der_x509_certificate(der))
    return [str(name.value) for name in names if isinstance(name, x509.DNSName)]


async def linked(trunk: PlayedTrunk, port: int) -> Peer:
    """A link of a trunk, with its certificate, to a port of the gateway."""
    return await Peer.open((HOST, port), f"{OUTSIDE}@{trunk.name}", trunk.organisation.credentials(trunk.name))


@on_loop
async def test_each_trunk_gets_its_certificate_by_sni_on_the_port_for_all(
    network: Network, provider: PlayedTrunk, pbx: PlayedTrunk, tmp_path: Path
) -> None:
    with_certificates(network, tmp_path / "public")
    async with network:
        address = network.address(GATEWAY, LinkKind.PARTNER)
        assert await shown(provider, address, AT_PROVIDER) == [AT_PROVIDER]
        assert await shown(pbx, address, AT_PBX) == [AT_PBX]
        assert GATEWAYS in await shown(pbx, address, GATEWAYS)


@on_loop
async def test_trunk_with_a_port_of_its_own_gets_its_certificate_there_for_each_name(
    network: Network, provider: PlayedTrunk, tmp_path: Path
) -> None:
    with_certificates(network, tmp_path / "public")
    port = with_port(network, PROVIDER)
    async with network:
        for sni in (AT_PROVIDER, GATEWAYS, AT_PBX):
            assert await shown(provider, (HOST, port), sni) == [AT_PROVIDER]


@on_loop
async def test_certificate_of_our_ca_has_all_names_without_another_one(network: Network, pbx: PlayedTrunk) -> None:
    async with network:
        names = await shown(pbx, network.address(GATEWAY, LinkKind.PARTNER), AT_PBX)
        assert {AT_PROVIDER, AT_PBX, GATEWAYS, GATEWAY} <= set(names)


@on_loop
async def test_port_of_a_trunk_is_for_this_trunk_and_no_other_port_is(
    network: Network, provider: PlayedTrunk, pbx: PlayedTrunk
) -> None:
    port = with_port(network, PROVIDER)
    async with network:
        common = network.address(GATEWAY, LinkKind.PARTNER)[1]
        for trunk, wrong in ((pbx, port), (provider, common)):
            async with await linked(trunk, wrong) as stranger:
                with pytest.raises(HungUpError):
                    await stranger.ask(stranger.request("OPTIONS", f"sip:{GATEWAYS}"))
            assert network.nodes[GATEWAY].gatekeeper.refusals[-1].code == "role-not-allowed"
        for trunk, right in ((provider, port), (pbx, common)):
            async with await linked(trunk, right) as peer:
                assert (await peer.ask(peer.request("OPTIONS", f"sip:{GATEWAYS}"))).status == 200


@pytest.mark.parametrize("has_port", [False, True])
@on_loop
async def test_call_to_a_trunk_has_our_name_there_in_each_field(
    network: Network, provider: PlayedTrunk, *, has_port: bool
) -> None:
    port = with_port(network, PROVIDER) if has_port else network.address(GATEWAY, LinkKind.PARTNER)[1]
    async with network, provider:
        alice = await network.phone("alice", FE1)
        call = alice.request("INVITE", f"tel:{OUTSIDE}", OFFER, SDES)
        await alice.send(call)
        trunk = await provider.links.get()
        came = await trunk.request_in("INVITE")
        assert came.from_.uri == f"sip:{ALICE}@{AT_PROVIDER};user=phone"
        assert came.values("p-asserted-identity") == [f"<sip:{ALICE}@{AT_PROVIDER};user=phone>"]
        assert came.top_via.sent_by == f"{AT_PROVIDER}:{port}"
        contact = came.contacts[0].sip_uri
        assert (contact.host, contact.port) == (AT_PROVIDER, port)
        assert f"@{AT_PROVIDER}:{port}" in came.values("record-route")[0]
        await trunk.reply(came, 200, OFFER, SDES)
        final = await alice.final()
        await alice.send(inside_of(Dialog.of_caller(call, final), alice, "ACK"))
        assert (await trunk.request_in("ACK")).method == "ACK"
        await trunk.send(inside_of(Dialog.of_callee(came, trunk.tag), trunk, "BYE"))
        await alice.reply(await alice.request_in("BYE"), 200)
        assert (await trunk.final(method="BYE")).status == 200


@pytest.mark.parametrize("name", [PROVIDER, PBX])
@on_loop
async def test_trunk_calls_users_by_our_name_there(
    network: Network, provider: PlayedTrunk, pbx: PlayedTrunk, name: str
) -> None:
    """Also on the link that it has opened, phones are reached by that name."""
    trunk_object = provider if name == PROVIDER else pbx
    async with network:
        alice = await network.phone("alice", FE1)
        async with await linked(trunk_object, network.address(GATEWAY, LinkKind.PARTNER)[1]) as trunk:
            call = trunk.request(
                "INVITE", f"sip:{ALICE}@{OURS[name]}", OFFER, SDES, sender=f"<sip:{CALLER[name]}@{name}>;tag=a"
            )
            await trunk.send(call)
            came = await alice.request_in("INVITE")
            await alice.reply(came, 200, OFFER, SDES)
            final = await trunk.final()
            assert final.contacts[0].sip_uri.host == OURS[name]
            assert f"@{OURS[name]}:" in final.values("record-route")[-1]
            dialog = Dialog.of_caller(call, final)
            await trunk.send(inside_of(dialog, trunk, "ACK"))
            await alice.request_in("ACK")
            await trunk.send(inside_of(dialog, trunk, "BYE"))
            await alice.reply(await alice.request_in("BYE"), 200)
            assert (await trunk.final(method="BYE")).status == 200


@on_loop
async def test_new_name_is_used_at_once(network: Network, provider: PlayedTrunk) -> None:
    """No restart is needed: only a port of its own is opened at the start."""
    async with network, provider:
        trunk_of(network, PROVIDER)["host"] = "sbc3.example.test"
        example = network.organisations[0]
        example.write()
        network.nodes[GATEWAY].put_in_force(example.load())
        alice = await network.phone("alice", FE1)
        await alice.send(alice.request("INVITE", f"tel:{OUTSIDE}", OFFER, SDES))
        trunk = await provider.links.get()
        came = await trunk.request_in("INVITE")
        assert {came.top_via.host, came.contacts[0].sip_uri.host, came.from_.sip_uri.host} == {"sbc3.example.test"}
        await trunk.reply(came, 486)
        assert (await alice.final()).status == 486


@on_loop
async def test_link_stays_when_its_trunk_gets_a_port_of_its_own(network: Network, provider: PlayedTrunk) -> None:
    """The port is opened at the next start. A link of a trunk that is removed is closed."""
    del trunk_of(network, PROVIDER)["host"]
    network.organisations[0].write()
    async with network:
        trunk = await provider.opens(network)
        for is_removed in (False, True):
            assert (await trunk.ask(trunk.request("OPTIONS", f"sip:{GATEWAYS}"))).status == 200
            if is_removed:
                federation: Any = network.organisations[0].document["federation"]
                del federation["partners"][0]
                network.organisations[0].write()
            else:
                with_port(network, PROVIDER)
            network.nodes[GATEWAY].put_in_force(network.organisations[0].load())
        await trunk.hung_up()


def refuses(change: Callable[[dict[str, Any]], object], network: Network) -> str:
    """The fault of a document in which the keys of the provider were changed."""
    change(trunk_of(network, PROVIDER))
    network.organisations[0].write()
    with pytest.raises(Exception, match="trunk") as wrong:
        network.organisations[0].load()
    return str(wrong.value)


@pytest.mark.parametrize("name", [EXAMPLE, FE1, GATEWAYS, PBX])
def test_our_name_at_a_trunk_is_no_name_of_another(network: Network, name: str) -> None:
    assert "another name in this topology" in refuses(lambda keys: keys.update(host=name), network)
