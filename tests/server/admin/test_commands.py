"""What the operator of the machine gets about a running server, as values that are JSON."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Callable
from typing import Any

import pytest

from sipmesh.errors import SipmeshError
from sipmesh.server.admin import commands
from sipmesh.server.admin.commands import AdminCommands
from sipmesh.server.control_socket import encode
from sipmesh.server.refresh.reload_result import ReloadResult
from sipmesh.server.running.running_server import RunningServer
from sipmesh.storage.users.user_database import Users
from sipmesh.trust.evidence import LinkKind
from support.network import FE1, FE2, Network
from support.peer import HungUpError, Peer
from support.running import on_loop, until
from support.talking import talking


def operator_of(network: Network, server: str = FE1) -> AdminCommands:
    """The commands of one server; *reload* and *look* only say that they were asked for."""
    return AdminCommands(*parts_of(network, server))


def parts_of(
    network: Network, server: str
) -> tuple[RunningServer, Callable[[], ReloadResult], Callable[[], ReloadResult], Callable[[], None]]:
    """What the commands of a server are built from."""
    node = network.nodes[server]
    return node, _taken, _taken, node.core.drain


def _taken() -> ReloadResult:
    return ReloadResult(taken=True, closed=())


async def asked(network: Network, command: str, **given: Any) -> Any:
    """Ask, and see that the answer can be written as JSON."""
    answer = await operator_of(network).commands()[command](given)
    return json.loads(encode(answer))


@on_loop
async def test_status_says_who_this_is_and_where_it_listens(home: Network) -> None:
    async with home:
        await home.phone("alice", FE1)
        told = await asked(home, "status")
        assert (told["server"], told["role"], told["pid"], told["links"]) == (FE1, "front-end", os.getpid(), 1)
        listeners = {(one["kind"], one["port"]): one["accepted"] for one in told["listeners"]}
        ports = home.organisations[0].ports[FE1]
        assert listeners == {("client", ports[LinkKind.CLIENT]): 1, ("server", ports[LinkKind.SERVER]): 0}
        assert told["topology"] == home.organisations[0].load().digest
        assert 0 <= told["up_s"] < 60


@on_loop
async def test_status_says_what_is_under_way_which_calls_are_up_and_which_servers_do_not_answer(home: Network) -> None:
    async with home:
        alice, bob = await home.phone("alice", FE1), await home.phone("bob", FE1)
        await talking(alice, bob)
        await bob.request_in("ACK")
        await alice.send(alice.request("MESSAGE", "sip:bob@example.test"))
        await bob.request_in("MESSAGE")
        home.nodes[FE1].outages.silent(FE2, "test")
        told = (await asked(home, "status"))["work"]
        assert (told["state"], told["requests_waiting"], told["calls_up"]) == ("serving", 1, 1)
        [call], [outage] = told["calls"], told["servers_down"]
        assert (call["caller"], call["callee"]) == ("sip:alice@example.test", "sip:bob@example.test")
        assert (outage["server"], outage["why"]) == (FE2, "test")


@on_loop
async def test_drain_is_carried_out_and_answered_with_what_is_under_way(home: Network) -> None:
    async with home:
        told = await asked(home, "drain")
        assert (told["requests_waiting"], told["calls_up"], told["calls"]) == (0, 0, [])
        assert (await asked(home, "status"))["work"]["state"] == "draining"


@on_loop
async def test_server_that_prepares_to_drain_says_so_and_serves(home: Network) -> None:
    async with home:
        assert (await asked(home, "prepare-drain"))["state"] == "preparing"
        assert (await asked(home, "status"))["work"]["state"] == "preparing"
        assert (await home.phone("alice", FE1)).user == "alice@example.test"


@on_loop
async def test_links_are_reported_with_the_proved_peer(pool: Network) -> None:
    async with pool:
        alice, bob = await pool.phone("alice", FE1), await pool.phone("bob", FE2)
        await pool.peer(FE1)
        await alice.send(alice.request("MESSAGE", "sip:bob@example.test"))
        await bob.reply(await bob.request_in("MESSAGE"), 200)
        assert (await alice.final()).status == 200
        links = {one["peer"]: one for one in await asked(pool, "links")}
        assert set(links) == {"sip:alice@example.test", FE2, ""}
        [newest] = await asked(pool, "links", most=1)
        assert newest["age_s"] == min(one["age_s"] for one in links.values())
        to_mate = links[FE2]
        assert (to_mate["kind"], to_mate["direction"], to_mate["state"], to_mate["code"]) == (
            *("server", "opened", "up"),
            "accepted",
        )
        assert to_mate["confirmed"]
        assert (to_mate["messages_in"], to_mate["messages_out"]) == (1, 1)
        assert to_mate["tls"]["version"] == "TLSv1.3"


@on_loop
async def test_live_link_is_explained_and_a_closed_link_is_not(pool: Network) -> None:
    async with pool:
        alice = await pool.phone("alice", FE1)
        [link] = await asked(pool, "links")
        told = await asked(pool, "explain", id=link["id"])
        assert told["verdict"]["accepted"] is True
        assert told["lines"]
        await alice.__aexit__()
        await until(lambda: not pool.nodes[FE1].pool.all())
        with pytest.raises(SipmeshError, match=f"{FE1} has no live link {link['id']}"):
            await asked(pool, "explain", id=link["id"])


@pytest.mark.parametrize(("most", "told"), [({}, 3), ({"most": 2}, 2), ({"most": "1"}, 1), ({"most": 0}, 0)])
@on_loop
async def test_refusals_are_reported_newest_first_and_as_many_as_asked_for(
    home: Network, most: dict[str, Any], told: int
) -> None:
    async with home:
        ports = [await refused_at(home) for _ in range(3)]
        remotes = [one["remote"] for one in await asked(home, "refused", **most)]
        assert remotes == [f"127.0.0.1:{port}" for port in reversed(ports)][:told]


@on_loop
async def test_refused_messages_are_reported_newest_first_under_their_references(home: Network) -> None:
    async with home:
        alice = await home.phone("alice", FE1)
        for number in range(2):
            stolen = alice.request("MESSAGE", "sip:bob@example.test", sender=f"<sip:x{number}@stranger.test>;tag=1")
            warning = (await alice.ask(stolen)).first("warning") or ""
        newest, older = await asked(home, "refused-messages")
        assert newest["reference"] in warning
        assert older["reference"] not in warning
        assert newest["peer"] == "sip:alice@example.test"
        assert newest["code"] == "from-not-allowed"


@on_loop
async def test_change_of_users_counts_as_soon_as_the_command_is_answered(home: Network) -> None:
    async with home:
        alice = await home.phone("alice", FE1)
        users = Users(home.organisations[0].load().users_url)
        users.remove("alice@example.test")
        users.close()
        assert await asked(home, "users-changed") == {"closed": 1}
        await alice.hung_up()
        assert await asked(home, "users-changed") == {"closed": 0}


@on_loop
async def test_reload_is_passed_on_and_its_answer_back(home: Network) -> None:
    async with home:
        assert await asked(home, "reload") == {"taken": True, "closed": []}


async def refused_at(network: Network) -> int:
    """Come to the server port without a certificate; gives the port that we came from."""
    node = network.nodes[FE1]
    before = len(node.gatekeeper.refusals)
    address = network.address(FE1, LinkKind.SERVER)
    try:
        peer = await Peer.open(address)
        await peer.hung_up()
        await peer.__aexit__()
    except (OSError, HungUpError):
        pass
    async with asyncio.timeout(5):
        await until(lambda: len(node.gatekeeper.refusals) > before)
    return node.gatekeeper.refusals[-1].remote[1]


@on_loop
async def test_registrations_are_reported_page_by_page_and_each_once(
    home: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commands, "PAGE", 2)
    async with home:
        phones = [await home.phone(user, FE1) for user in ("alice", "bob", "alice")]
        found, page = [], await asked(home, "registrations")
        found += page["bindings"]
        while page["next"] is not None:
            page = await asked(home, "registrations", after=page["next"])
            found += page["bindings"]
        assert [one["user"] for one in found] == ["alice@example.test", "alice@example.test", "bob@example.test"]
        assert {one["remote"] for one in found} == {f"127.0.0.1:{phone.address[1]}" for phone in phones}


@on_loop
async def test_what_is_known_of_a_user_is_reported_with_failed_logins(home: Network) -> None:
    async with home:
        assert (await (await home.peer(FE1, "alice")).register(password="wrong")).status == 401
        await home.phone("alice", FE1)
        told = await asked(home, "user", user="sip:alice@example.test")
        assert (told["home"], told["ready"], len(told["bindings"])) == ("pool1.example.test", True, 1)
        assert [one["flaw"] for one in told["failures"]] == ["wrong password"]
        assert (await asked(home, "user", user="sip:nobody@example.test"))["home"] is None
        assert [one["user"] for one in await asked(home, "login-failures", most=5)] == ["alice@example.test"]


@on_loop
async def test_user_is_reported_with_aliases_tls_and_the_algorithm_of_its_login(home: Network) -> None:
    users = Users(home.organisations[0].load().users_url)
    users.add_alias("alice@example.test", "+49 30 123")
    users.close()
    async with home:
        await home.phone("alice", FE1)
        for name in ("sip:alice@example.test", "sip:+4930123@tel.invalid", "sip:ALICE@example.test"):
            told = await asked(home, "user", user=name)
            assert (told["user"], told["aliases"]) == ("alice@example.test", ["tel:+4930123"])
            [login], [binding] = told["logins"], told["bindings"]
            assert (login["digest"], login["offered"]) == ("SHA-256", ["SHA-256", "MD5"])
            assert login["link"] == binding["link"]
            assert (binding["digest"], binding["tls"]["version"]) == ("SHA-256", "TLSv1.3")


@on_loop
async def test_failed_client_links_are_reported_by_network_and_reason_and_displace_no_server(home: Network) -> None:
    async with home:
        node = home.nodes[FE1]
        await refused_at(home)
        for _ in range(2):
            reader, writer = await asyncio.open_connection(*home.address(FE1))
            writer.write(b"REGISTER sip:example.test SIP/2.0\r\n\r\n")
            await reader.read()
            writer.close()
        await until(lambda: node.gatekeeper.client_refusals.counts.total() == 2)
        [told] = await asked(home, "client-refusals")
        assert (told["reason"], told["count"], told["remote"]) == ("plain-sip", 2, "127.0.0.1")
        assert [one["kind"] for one in await asked(home, "refused")] == ["client", "client", "server"]
        assert len(node.gatekeeper.refusals) == 1
