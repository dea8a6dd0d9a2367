"""The users of a flow: none before a login, and each with the generation of the password at the login."""

from __future__ import annotations

import pytest

from sipmesh.routing.identity.dialog_token import owner_hash
from sipmesh.routing.identity.sender import ClientSender, ServerSender
from sipmesh.server.proxy.flow import LONGEST_KEY, MOST_REFUSED, MOST_REFUSED_OF_STRANGERS, Flow
from sipmesh.server.running.running_server import RunningServer
from sipmesh.trust.evidence import LinkKind
from support.bindings import bound
from support.network import EDGE, FE1, FE2, PARTNER_EDGE, Network
from support.running import on_loop, until

ALICE, BOB = "sip:alice@example.test", "sip:bob@example.test"


async def only(node: RunningServer) -> Flow:
    """Return the only flow of a server, once its link is up."""
    await until(lambda: [one for one in node.flow_table.sessions() if one.sender is not None])
    [flow] = node.flow_table.sessions()
    return flow


@on_loop
async def test_client_without_a_login_has_no_user(home: Network) -> None:
    async with home:
        await home.peer(FE1, "alice")
        flow = await only(home.nodes[FE1])
        assert isinstance(flow.sender, ClientSender)
        assert (flow.users, flow.owners, flow.generations) == (frozenset(), frozenset(), {})
        assert not flow.link.authenticated


@on_loop
async def test_each_login_adds_a_user_with_its_password_generation(home: Network) -> None:
    async with home:
        await home.peer(FE1, "alice")
        flow = await only(home.nodes[FE1])
        flow.proved(ALICE, 3)
        flow.proved(BOB, 4)
        assert flow.users == {ALICE, BOB}
        assert flow.owners == {owner_hash(ALICE), owner_hash(BOB)}
        flow.proved(ALICE, 5)
        assert flow.generations == {ALICE: 5, BOB: 4}
        assert flow.link.authenticated


@on_loop
async def test_logins_stay_when_links_are_judged_again(home: Network) -> None:
    """A new topology says nothing about users."""
    async with home:
        await home.phone("alice", FE1)
        flow = await only(home.nodes[FE1])
        flow.came_up()
        assert flow.users == {ALICE}


@pytest.mark.parametrize(
    ("here", "kind", "credentials", "name"),
    [
        (FE1, LinkKind.SERVER, FE2, FE2),
        (EDGE, LinkKind.SERVER, FE1, FE1),
        (EDGE, LinkKind.PARTNER, PARTNER_EDGE, "sip.partner.test"),
    ],
)
@on_loop
async def test_server_is_identified_by_its_certificate_and_never_a_user(
    federation: Network, here: str, kind: LinkKind, credentials: str, name: str
) -> None:
    federation.starts = (here,)
    async with federation:
        await federation.peer_at(here, kind, "alice@example.test", credentials)
        flow = await only(federation.nodes[here])
        assert isinstance(flow.sender, ServerSender)
        assert (flow.sender.kind, flow.sender.peer.name) == (kind, name)
        assert (flow.users, flow.owners) == (frozenset(), frozenset())


@on_loop
async def test_number_names_the_link_and_none_other(home: Network) -> None:
    async with home:
        await home.phone("alice", FE1)
        await home.phone("bob", FE1)
        numbers = [flow.number for flow in home.nodes[FE1].flow_table.sessions()]
        assert len(set(numbers)) == 2
        assert all(number > 0 for number in numbers)


@on_loop
async def test_closed_link_removes_its_flow_and_users(home: Network) -> None:
    async with home:
        alice = await home.phone("alice", FE1)
        node = home.nodes[FE1]
        await alice.__aexit__()
        await until(lambda: not node.flow_table.sessions())
        assert not node.flow_table._owners
        assert await bound(node, ALICE) == []


@on_loop
async def test_newest_link_of_a_user_stays_its_own_when_an_older_one_ends(home: Network) -> None:
    """Requests inside the user's dialogs go there."""
    async with home:
        older = await home.phone("alice", FE1)
        newer = await home.phone("alice", FE1)
        node = home.nodes[FE1]
        await older.__aexit__()
        await until(lambda: len(node.flow_table.sessions()) == 1)
        assert node.flow_table._owners == {owner_hash(ALICE): node.flow_table.sessions()[0].number}
        await newer.silent()


@pytest.mark.parametrize(("user", "most"), [("", MOST_REFUSED_OF_STRANGERS), ("alice", MOST_REFUSED)])
@on_loop
async def test_remembered_refused_calls_are_limited(home: Network, user: str, most: int) -> None:
    async with home:
        if user:
            await home.phone(user, FE1)
        else:
            await home.peer(FE1)
        flow = await only(home.nodes[FE1])
        for number in range(most):
            flow.refuse(f"{number}")
        assert (len(flow.refused), "0" in flow.refused) == (most, True)
        flow.refuse("one more")
        assert (len(flow.refused), "0" in flow.refused) == (most, False)


@pytest.mark.parametrize(("length", "kept"), [(LONGEST_KEY, 1), (LONGEST_KEY + 1, 0)])
@on_loop
async def test_length_of_a_remembered_key_is_limited(home: Network, length: int, kept: int) -> None:
    async with home:
        await home.peer(FE1)
        flow = await only(home.nodes[FE1])
        flow.refuse("k" * length)
        assert len(flow.refused) == kept
