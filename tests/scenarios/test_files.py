"""Files that change under a running server, in a process of its own: each is noticed without being asked for."""

from __future__ import annotations

import asyncio
import json
import os
import ssl
from pathlib import Path
from typing import Any

import pytest

from sipmesh.demo.organisation import Organisation
from sipmesh.errors import OperatorError
from sipmesh.trust.evidence import LinkKind
from support.network import EDGE, EDGES, FE1, PARTNER_EDGE, POOL, Network
from support.process import Process, serving
from support.running import on_loop, until

TAKEN, NOT_TAKEN = "topology in force", "topology rejected: the old version stays in force"
LISTS = "CRLs in force"

KEPT = "new certificate rejected: the old certificate stays in use"


@on_loop
@pytest.mark.wide
async def test_new_certificate_is_shown_from_then_on_and_live_links_stay(example: Organisation) -> None:
    async with Network((example,)) as network, serving(example, FE1) as server:
        alice, before = await network.phone("alice", FE1), await shown_by(network)
        example.issue(FE1)
        await until(lambda: told(server, TAKEN))
        assert await shown_by(network) != before
        assert (await alice.ask(alice.request("OPTIONS", "sip:example.test"))).status == 200
        assert not told(server, TAKEN)[-1]["closed"]


@on_loop
@pytest.mark.wide
async def test_unusable_certificate_leaves_the_old_one_in_force_until_it_is_replaced(
    example: Organisation,
) -> None:
    async with Network((example,)) as network, serving(example, FE1) as server:
        chain, before = network.credentials(FE1)[0], await shown_by(network)
        good = spoil(chain)
        await until(lambda: told(server, KEPT))
        assert told(server, KEPT)[0]["file"] == str(chain)
        assert "no certificate can be read from it" in told(server, KEPT)[0]["why"]
        assert await shown_by(network) == before
        taken = len(told(server, TAKEN))
        chain.write_bytes(good)
        await until(lambda: len(told(server, TAKEN)) > taken)
        assert [one["fault"] for one in (await server.ask("status"))["certificates"]] == [""]
        await network.phone("alice", FE1)


@on_loop
@pytest.mark.wide
async def test_crl_that_is_removed_and_comes_back_is_noticed_both_times(example: Organisation) -> None:
    """The server has no CA here: a server with a CA publishes a missing CRL again."""
    (example.folder / "ca" / "ledger.db").unlink()
    async with Network((example,)), serving(example, FE1) as server:
        crl = example.folder / "ca" / "issuing.crl"
        away = crl.rename(crl.with_suffix(".away"))
        await until(lambda: told(server, LISTS))
        assert "cannot be read" in told(server, LISTS)[0]["faults"][0]
        away.rename(crl)
        await until(lambda: len(told(server, LISTS)) > 1)
        assert not told(server, LISTS)[1]["faults"]
        assert not told(server, TAKEN)


@on_loop
async def test_pipe_in_place_of_a_crl_does_not_stop_the_server(federation: Network) -> None:
    """The server stood for ever: a pipe has no octets without a writer, and small files are read on the loop."""
    example = federation.of(EDGE)
    federation.starts = ()
    async with federation, serving(example, EDGE) as server:
        [crl] = (example.folder / "partners").rglob("issuing.crl")
        pipe = crl.with_suffix(".pipe")
        os.mkfifo(pipe)
        held = crl.rename(crl.with_suffix(".held"))
        pipe.rename(crl)
        await until(lambda: any(one["faults"] for one in lists(server)))
        assert "not a regular file" in lists(server)[-1]["faults"][0]
        assert (await server.ask("reload"))["taken"]
        held.rename(crl)
        await until(lambda: not lists(server)[-1]["faults"])
        theirs = await federation.peer_at(EDGE, LinkKind.PARTNER, "erin@partner.test", PARTNER_EDGE)
        assert (await theirs.ask(theirs.request("OPTIONS", f"sip:{EDGES}"))).status == 200


@on_loop
async def test_partner_that_is_blocked_loses_its_link_and_those_inside_stay(federation: Network) -> None:
    example = federation.of(EDGE)
    federation.starts = ()
    async with federation, serving(example, EDGE) as server:
        theirs = await federation.peer_at(EDGE, LinkKind.PARTNER, "erin@partner.test", PARTNER_EDGE)
        inside = await federation.peer_at(EDGE, LinkKind.SERVER, "alice@example.test", FE1)
        for peer in (theirs, inside):
            assert (await peer.ask(peer.request("OPTIONS", f"sip:{EDGES}"))).status == 200
        example.document["federation"] = {"route": EDGES, "partners": [], "blocked": ["partner.test"]}
        example.write()
        await theirs.hung_up()
        assert (await inside.ask(inside.request("OPTIONS", f"sip:{EDGES}"))).status == 200
        [link] = await server.ask("links")
        assert link["peer"] == FE1
        assert len(told(server, TAKEN)[-1]["closed"]) == 1


@on_loop
async def test_reload_by_the_control_socket_reports_its_result(example: Organisation) -> None:
    async with Network((example,)), serving(example, FE1) as server:
        taken = await server.ask("reload")
        assert taken == {"taken": True, "digest": example.load().digest, "closed": []}
        example.file.write_text(example.file.read_text() + "nonsense: 1\n")
        refused = await server.ask("reload")
        assert refused["taken"] is False
        assert "nonsense" in refused["problems"][0]
        assert (await server.ask("status"))["topology"] == taken["digest"]


@on_loop
async def test_server_with_another_role_is_not_taken(home: Network) -> None:
    """It would need other ports, and users that it has not opened."""
    example = home.of(FE1)
    async with home:
        node = home.nodes[FE1]
        pools: Any = example.document["pools"]
        pools[0]["servers"], moved = pools[0]["servers"][1:], pools[0]["servers"][0]
        moved["ports"] = {"server": moved["ports"]["server"], "partner": moved["ports"]["client"]}
        pools[1]["servers"].append(moved)
        example.write()
        with pytest.raises(OperatorError, match="edge"):
            node.put_in_force(example.load())
        assert node.view.pool.name == POOL
        await home.phone("alice", FE1)


def told(server: Process, event: str) -> list[dict[str, Any]]:
    """The lines of one event in its log, oldest first."""
    lines = [json.loads(line) for line in server.log.splitlines() if line.endswith("}")]
    return [line for line in lines if line["event"] == event]


def lists(server: Process) -> list[dict[str, Any]]:
    """What it has logged of CRLs, oldest first."""
    return told(server, LISTS)


async def shown_by(network: Network) -> bytes:
    """The leaf that the client port shows to a new link."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    _, writer = await asyncio.open_connection(*network.address(FE1), ssl=context)
    shown: ssl.SSLObject = writer.get_extra_info("ssl_object")
    leaf = shown.getpeercert(binary_form=True)
    writer.close()
    await writer.wait_closed()
    assert leaf is not None
    return leaf


def spoil(file: Path) -> bytes:
    """Make a file useless; gives what was in it."""
    good = file.read_bytes()
    file.write_bytes(b"spoilt")
    return good
