"""The request of a branch, as the peer of its link gets it."""

from __future__ import annotations

from pathlib import Path

import pytest

from sipmesh.client.dialog import Dialog
from sipmesh.errors import RemoteError
from sipmesh.routing.identity.privacy import ANONYMOUS
from sipmesh.routing.proxy.effects import Start
from sipmesh.routing.target import FlowTarget
from sipmesh.server.running.running_server import RunningServer
from sipmesh.sip.message import respond
from support.network import FE1, FE2, Network
from support.peer import Peer
from support.running import on_loop
from support.talking import inside_of, talking
from support.trunks import (
    ALICE,
    GATEWAY,
    GATEWAYS,
    OUTSIDE,
    PROVIDER,
    PlayedTrunk,
    build_gateway,
    build_trunk,
    join_trunks,
)

BOB = "sip:bob@example.test"


async def sent_and_received(home: Network, *headers: tuple[str, str]) -> tuple[RunningServer, Peer, Peer]:
    """Send an INVITE from a phone to another one, with *headers*."""
    node, alice, bob = home.nodes[FE1], await home.phone("alice", FE1), await home.phone("bob", FE1)
    invite = alice.request("INVITE", BOB)
    for name, value in headers:
        invite.append(name, value)
    await alice.send(invite)
    return node, alice, bob


@on_loop
async def test_branch_has_our_via_the_contact_of_its_phone_and_our_record_route(home: Network) -> None:
    async with home:
        _, alice, bob = await sent_and_received(home)
        came = await bob.request_in("INVITE")
        assert (came.uri, len(came.items("via"))) == (bob.contact.strip("<>"), 2)
        assert came.first("max-forwards") == "69"
        assert came.items("record-route")
        assert came.first("p-asserted-identity") == f"<sip:{alice.user}>"


@pytest.mark.parametrize(("privacy", "is_shown"), [("none", True), ("id", False)])
@on_loop
async def test_identity_is_released_to_a_phone_only_if_the_sender_allows_it(
    home: Network, privacy: str, *, is_shown: bool
) -> None:
    async with home:
        _, _, bob = await sent_and_received(home, ("privacy", privacy))
        assert bool((await bob.request_in("INVITE")).first("p-asserted-identity")) is is_shown


@on_loop
async def test_answer_gets_the_callees_tag_into_its_dialog_token(home: Network) -> None:
    """So the caller's token differs from that of the callee."""
    async with home:
        node, alice, bob = await sent_and_received(home)
        came = await bob.request_in("INVITE")
        [sent] = [sent for flow in node.flow_table.sessions() for sent in flow.sent.values()]
        await bob.reply(came, 200)
        answer = await alice.final()
        [before], [after] = came.items("record-route"), answer.items("record-route")
        assert before != after
        assert [token in (before + after) for token in node.relay.calls.requests.tokens_in(sent, answer)] == [
            True,
            True,
        ]


@on_loop
async def test_ack_of_a_2xx_has_a_branch_of_its_own(pool: Network) -> None:
    """RFC 3261 17.1.1.3: it belongs to no transaction."""
    async with pool:
        alice, bob = await pool.phone("alice", FE1), await pool.phone("bob", FE2)
        came, _, dialog = await talking(alice, bob)
        first = await bob.request_in("ACK")
        await alice.send(inside_of(dialog, alice, "ACK"))
        branches = {message.top_via.branch for message in (came, first, await bob.request_in("ACK"))}
        assert len(branches) == 3


@on_loop
async def test_request_without_a_sender_makes_no_branch(home: Network) -> None:
    async with home:
        node, _, bob = await sent_and_received(home)
        await bob.request_in("INVITE")
        [proxied] = [one for flow in node.flow_table.sessions() for one in flow.served.values()]
        proxied.flow.sender, proxied.begun = None, None
        target = FlowTarget(1, b"", BOB)
        with pytest.raises(RemoteError, match="without a sender"):
            node.relay.calls.requests.make(proxied, Start(0, target), proxied.flow, "z9hG4bK1")


@pytest.mark.parametrize("breadth", ["", "12"])
@on_loop
async def test_branch_carries_its_share_of_the_breadth(home: Network, breadth: str) -> None:
    """RFC 5393 section 5.3.3.1; without a limit in the request there is none in its branch."""
    async with home:
        headers = [("max-breadth", breadth)] if breadth else []
        _, _, bob = await sent_and_received(home, *headers)
        assert ((await bob.request_in("INVITE")).first("max-breadth") or "") == breadth


@on_loop
async def test_fields_that_no_phone_may_see_are_removed(home: Network) -> None:
    async with home:
        _, _, bob = await sent_and_received(home, ("p-charging-vector", "icid-value=1"))
        assert (await bob.request_in("INVITE")).first("p-charging-vector") is None


@on_loop
async def test_answer_to_a_request_that_begins_no_dialog_has_no_token(home: Network) -> None:
    async with home:
        node, alice, bob = home.nodes[FE1], await home.phone("alice", FE1), await home.phone("bob", FE1)
        await alice.send(alice.request("MESSAGE", BOB))
        came = await bob.request_in("MESSAGE")
        [sent] = [sent for flow in node.flow_table.sessions() for sent in flow.sent.values()]
        answer = respond(came, 200)
        assert node.relay.calls.requests.tokens_in(sent, answer) == ()


@pytest.fixture(name="trunked")
def _trunked(tmp_path: Path) -> tuple[Network, PlayedTrunk]:
    """A front end and a gateway, with one trunk."""
    example = build_gateway(tmp_path / "example")
    provider = PlayedTrunk(PROVIDER, build_trunk(tmp_path / "provider", PROVIDER))
    join_trunks(example, (provider, {"asserts": ["+"], "carries": ["+"]}))
    return Network((example,), starts=(FE1, GATEWAY)), provider


@on_loop
async def test_trunk_gets_the_number_and_a_contact_of_ours_and_reaches_the_phone_by_it(
    trunked: tuple[Network, PlayedTrunk],
) -> None:
    network, provider = trunked
    async with network, provider:
        alice, trunk = await network.phone("alice", FE1), await provider.opens(network)
        await alice.send(invite := alice.request("INVITE", f"tel:{OUTSIDE}"))
        came = await trunk.request_in("INVITE")
        assert came.from_.uri == f"sip:{ALICE}@{GATEWAYS};user=phone"
        await trunk.reply(came, 200)
        await alice.send(inside_of(Dialog.of_caller(invite, await alice.final()), alice, "ACK"))
        await trunk.request_in("ACK")
        await trunk.send(inside_of(Dialog.of_callee(came, trunk.tag), trunk, "BYE"))
        bye = await alice.request_in("BYE")
        assert f"<{bye.uri}>" == alice.contact
        await alice.reply(bye, 200)
        assert (await trunk.final()).status == 200


@on_loop
async def test_caller_of_a_trunk_who_is_withheld_has_a_contact_of_ours(trunked: tuple[Network, PlayedTrunk]) -> None:
    network, provider = trunked
    async with network, provider:
        alice, trunk = await network.phone("alice", FE1), await provider.opens(network)
        hidden = trunk.request("INVITE", f"sip:{ALICE}@{GATEWAYS}", sender="<sip:anonymous@anonymous.invalid>;tag=1")
        await trunk.send(hidden)
        came = await alice.request_in("INVITE")
        assert came.contacts[0].sip_uri.host == ANONYMOUS
        await alice.reply(came, 200)
        answer = await trunk.final()
        assert answer.contacts[0].sip_uri.host == GATEWAYS
        await trunk.send(inside_of(Dialog.of_caller(hidden, answer), trunk, "ACK"))
        await alice.request_in("ACK")
        await alice.send(inside_of(Dialog.of_callee(came, alice.tag), alice, "UPDATE"))
        update = await trunk.request_in("UPDATE")
        assert f"<{update.uri}>" == trunk.contact
        await trunk.reply(update, 200)
        assert (await alice.final()).contacts[0].sip_uri.host == ANONYMOUS
