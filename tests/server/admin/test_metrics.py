"""Figures over HTTP, as monitoring reads them, of a server that really runs."""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import aiohttp
import pytest
from prometheus_client.parser import text_string_to_metric_families

from server.admin.test_commands import refused_at
from sipmesh.demo.organisation import Organisation
from sipmesh.demo.ports import free_port
from sipmesh.errors import OperatorError
from sipmesh.server.admin.metrics import MetricsPage
from sipmesh.server.service import Service
from sipmesh.sip.transaction.ack import ack_for
from sipmesh.topology.view import certificate_names
from sipmesh.transport.limits import Limits
from sipmesh.trust.role import Role
from support.checkout import ROOT
from support.managed import MGMT, Managed, build_managed
from support.network import BOT, EDGE, FE1, FE2, Network
from support.running import on_loop, until
from support.service import serving_here
from support.talking import inside_of, talking
from support.telling import Told

MINUTE = timedelta(minutes=1)
Figures = dict[tuple[str, frozenset[tuple[str, str]]], float]


def ask_for_figures(example: Organisation, server: str = FE1) -> int:
    """Give a server a port for its figures; returns it."""
    port = free_port()
    for pool in example.document["pools"]:  # type: ignore[attr-defined]  # it is what build_example wrote
        for one in pool["servers"]:
            if one["name"] == server:
                one["metrics"] = port
    example.write()
    return port


@asynccontextmanager
async def page_of(network: Network, server: str = FE1) -> AsyncIterator[None]:
    page = MetricsPage(network.nodes[server])
    await page.open()
    try:
        yield
    finally:
        await page.close()


async def get(port: int, path: str) -> tuple[int, str]:
    async with aiohttp.ClientSession() as flow, flow.get(f"http://127.0.0.1:{port}{path}") as answer:
        return answer.status, await answer.text()


async def figures(port: int) -> Figures:
    status, text = await get(port, "/metrics")
    assert status == 200
    families = text_string_to_metric_families(text)
    return {(one.name, frozenset(one.labels.items())): one.value for family in families for one in family.samples}


def labelled(name: str, /, **labels: str) -> tuple[str, frozenset[tuple[str, str]]]:
    return name, frozenset(labels.items())


@on_loop
async def test_links_verdicts_and_messages_are_counted_also_after_a_link_is_gone(pool: Network) -> None:
    port = ask_for_figures(pool.organisations[0])
    async with pool, page_of(pool):
        alice, _ = await pool.agent("alice", FE1), await pool.agent("bob", FE2)
        assert (await alice.message("bob@example.test", "hello")).ok
        await refused_at(pool)
        before = await figures(port)
        assert before[labelled("sipmesh_links", kind="server", state="up")] == 1
        assert before[labelled("sipmesh_link_verdicts_total", kind="server", direction="opened", code="accepted")] == 1
        refused = labelled("sipmesh_link_verdicts_total", kind="server", direction="accepted", code="no-certificate")
        assert before[refused] == 1
        assert before[labelled("sipmesh_messages_total", kind="server", direction="out")] == 1
        assert before[labelled("sipmesh_handshakes_in_flight")] == 0
        await pool.stop(FE2)
        after = await figures(port)
        assert labelled("sipmesh_links", kind="server", state="up") not in after
        assert after[labelled("sipmesh_messages_total", kind="server", direction="out")] == 1


@on_loop
async def test_refused_messages_are_counted_by_code(home: Network) -> None:
    port = ask_for_figures(home.organisations[0])
    async with home, page_of(home):
        alice = await home.phone("alice", FE1)
        stolen = alice.request("MESSAGE", "sip:bob@example.test", sender="<sip:x@stranger.test>;tag=1")
        assert (await alice.ask(stolen)).status == 403
        assert (await figures(port))[labelled("sipmesh_messages_refused_total", code="from-not-allowed")] == 1


@on_loop
async def test_what_limits_have_done_is_told_for_each_kind_of_principal(home: Network) -> None:
    port = ask_for_figures(home.organisations[0])
    home.limits = Limits(branches_per_user=1, strangers_per_address=1, links_per_user=1, slow_s=0)
    async with home, page_of(home):
        alice, bob = await home.phone("alice", FE1), await home.phone("bob", FE1)
        await alice.send(*(alice.request("MESSAGE", "sip:bob@example.test") for _ in range(2)))
        assert (await alice.final()).status == 503
        await bob.request_in("MESSAGE")
        await home.phone("carol", FE1)
        await home.phone("carol", FE1)
        strangers = [await home.peer(FE1) for _ in range(2)]
        await strangers[0].hung_up()
        told = await figures(port)
        assert told[labelled("sipmesh_requests_limited_total", principal="user")] == 1
        assert told[labelled("sipmesh_branches_most", principal="user")] == 1
        assert told[labelled("sipmesh_octets_most", principal="user")] > 4_096
        assert told[labelled("sipmesh_displaced_total", limit="links_per_user", kind="client")] == 1
        assert told[labelled("sipmesh_displaced_total", limit="strangers_per_address", kind="client")] == 1
        assert told[labelled("sipmesh_links_without_login")] == 1
        assert told[labelled("sipmesh_log_lines_summed_total")] == 0
        assert told[labelled("sipmesh_logins_waiting")] == 0


@on_loop
async def test_how_long_answers_took_is_told_by_kind_of_request(home: Network) -> None:
    """A phone rings as long as somebody likes; a message is answered by a machine."""
    port = ask_for_figures(home.organisations[0])
    async with home, page_of(home):
        alice, bob = await home.phone("alice", FE1), await home.phone("bob", FE1)
        await alice.send(alice.request("MESSAGE", "sip:bob@example.test"))
        await bob.reply(await bob.request_in("MESSAGE"), 200)
        await alice.final()
        invite = alice.request("INVITE", "sip:bob@example.test")
        await alice.send(invite)
        ringing = await bob.request_in("INVITE")
        await bob.reply(ringing, 180)
        before = await figures(port)
        assert before[labelled("sipmesh_request_seconds_count", method="other")] == 1
        assert before[labelled("sipmesh_request_seconds_count", method="INVITE")] == 0
        await bob.reply(ringing, 486)
        await alice.send(ack_for(invite, await alice.final()))
        await alice.silent()
        after = await figures(port)
        assert after[labelled("sipmesh_request_seconds_count", method="INVITE")] == 1
        assert after[labelled("sipmesh_request_seconds_bucket", method="INVITE", le="+Inf")] == 1
        assert 0 < after[labelled("sipmesh_request_seconds_sum", method="INVITE")] < 10
        assert after[labelled("sipmesh_requests_unanswered_total")] == 0


@on_loop
async def test_registrations_and_logins_are_counted(home: Network) -> None:
    """A login is counted once, and a request on a link that has logged in is none."""
    port = ask_for_figures(home.organisations[0])
    async with home, page_of(home):
        alice = await home.phone("alice", FE1)
        for _ in range(2):
            assert (await (await home.peer(FE1, "bob")).register(password="wrong")).status == 401
        assert (await (await home.peer(FE1, "mallory")).register()).status == 401
        assert (await alice.register()).status == 200
        found = await figures(port)
        assert found[labelled("sipmesh_registrations")] == 1
        assert found[labelled("sipmesh_logins_total", result="ok", flaw="")] == 1
        assert found[labelled("sipmesh_logins_total", result="failed", flaw="wrong-password")] == 2
        assert found[labelled("sipmesh_logins_total", result="failed", flaw="unknown-user")] == 1
        assert sum("sipmesh_logins_total" in name for name, _ in found) == 3
        assert found[labelled("sipmesh_registration_writes_total")] == 1, "a refresh is none"
        assert found[labelled("sipmesh_registration_batches_total")] == 1
        assert found[labelled("sipmesh_registration_writes_waiting")] == 0
        assert found[labelled("sipmesh_registration_store_failures", error="")] == 0
        assert (await alice.ask(alice.request("MESSAGE", "sip:bob@example.test"))).status == 202
        found = await figures(port)
        assert found[labelled("sipmesh_messages_stored_total", result="stored")] == 1
        assert found[labelled("sipmesh_messages_stored_total", result="user-full")] == 0
        assert found[labelled("sipmesh_stored_messages_delivered_total")] == 0
        assert found[labelled("sipmesh_subscriptions")] == found[labelled("sipmesh_publications")] == 0
        assert found[labelled("sipmesh_stored_messages_waiting")] == 0, "counted every two seconds"
        await alice.__aexit__()
        await until(lambda: home.nodes[FE1].registrations.count() == 0)
        assert (await figures(port))[labelled("sipmesh_registrations")] == 0


@on_loop
async def test_calls_are_counted_once_whatever_comes_back_how_often(home: Network) -> None:
    """Not each re-INVITE, not each copy of a response, and no message."""
    port = ask_for_figures(home.organisations[0])
    async with home, page_of(home):
        alice, bob = await home.phone("alice", FE1), await home.phone("bob", FE1)
        _, _, dialog = await talking(alice, bob)
        assert (await bob.request_in("ACK")).method == "ACK"
        again = inside_of(dialog, alice, "INVITE")
        await alice.send(again)
        await bob.reply(await bob.request_in("INVITE"), 200)
        await alice.final()
        refused = alice.request("INVITE", "sip:bob@example.test")
        await alice.send(refused)
        came = await bob.request_in("INVITE")
        for status in (180, 486, 486):
            await bob.reply(came, status)
        await alice.send(ack_for(refused, await alice.final()))
        await alice.send(alice.request("MESSAGE", "sip:bob@example.test"))
        found = await figures(port)
        assert found[labelled("sipmesh_calls_started_total")] == 2
        answered = {name: found[labelled("sipmesh_calls_answered_total", **{"class": name})] for name in ("2xx", "4xx")}
        assert answered == {"2xx": 1, "4xx": 1}


@on_loop
async def test_what_waits_for_a_peer_that_does_not_read_is_told(home: Network) -> None:
    port = ask_for_figures(home.organisations[0])
    async with home, page_of(home):
        alice, bot = await home.phone("alice", FE1), await home.peer(FE1, "bot", credentials=BOT)
        assert (await figures(port))[labelled("sipmesh_bytes_waiting", kind="server")] == 0
        bot._reader._transport.pause_reading()  # type: ignore[attr-defined]  # what a peer that hangs looks like
        body = b"x" * 100_000
        while not any(link.blocked for link in home.nodes[FE1].pool.all()):
            await alice.send(alice.request("MESSAGE", f"sip:room@{BOT}", body=body))
            await asyncio.sleep(0)
        found = await figures(port)
        assert found[labelled("sipmesh_links_blocked", kind="server")] == 1
        assert found[labelled("sipmesh_bytes_waiting", kind="server")] > 0
        assert found[labelled("sipmesh_links_blocked", kind="client")] == 0


@on_loop
async def test_ends_are_told_in_seconds(federation: Network) -> None:
    port = ask_for_figures(federation.of(EDGE), EDGE)
    async with federation, page_of(federation, EDGE):
        found = await figures(port)
        own = found[labelled("sipmesh_ends_in_seconds", what="server", name=EDGE)]
        assert own == pytest.approx(timedelta(days=30).total_seconds(), abs=3600)
        lists = [
            labels
            for name, labels in found
            if name == "sipmesh_ends_in_seconds" and ("what", "revocation list") in labels
        ]
        assert len(lists) == 4
        assert found[labelled("sipmesh_certificates_not_taken")] == 0


@pytest.mark.parametrize(("ended", "status"), [(False, 200), (True, 503)])
@on_loop
async def test_health_says_whether_others_can_rely_on_the_server(home: Network, status: int, *, ended: bool) -> None:
    example = home.organisations[0]
    port = ask_for_figures(example)
    names = certificate_names(example.load().topology, FE1)
    at = datetime.now(UTC) - (4 * MINUTE if ended else 0 * MINUTE)
    issued = example.ca.issue(names, Role.FRONT_END, at, MINUTE if ended else timedelta(days=30))
    issued.write(example.folder / "servers" / f"{FE1}.pem", example.folder / "servers" / f"{FE1}.key")
    async with home, page_of(home):
        found, text = await get(port, "/health")
        assert found == status
        assert (f"the certificate of {FE1} expired" in text) is ended


@on_loop
async def test_service_shows_them_where_the_topology_says_and_takes_the_port_away_with_it(
    example: Organisation,
) -> None:
    port = ask_for_figures(example)
    async with serving_here(example, Told()):
        assert (await get(port, "/health"))[0] == 200
    with pytest.raises(aiohttp.ClientConnectorError):
        await get(port, "/health")


@on_loop
async def test_without_the_setting_there_is_nothing_to_open(home: Network) -> None:
    async with home:
        with pytest.raises(OperatorError, match=f"{FE1} has no `metrics`"):
            await MetricsPage(home.nodes[FE1]).open()


@on_loop
async def test_port_that_is_taken_is_told_to_the_operator(example: Organisation) -> None:
    port = ask_for_figures(example)
    taken = pytest.raises(OperatorError, match=f"no metrics on 127.0.0.1 port {port}")
    with socket.create_server(("127.0.0.1", port)), taken:
        await Service(example.file, FE1, Told().log).serve()


@on_loop
async def test_every_figure_is_documented(home: Network) -> None:
    port = ask_for_figures(home.organisations[0])
    async with home, page_of(home):
        _, text = await get(port, "/metrics")
    told = set(re.findall(r"^# TYPE (\w+)", text, re.MULTILINE))
    rows = re.findall(r"^\| `(sipmesh_\w+)` \|", (ROOT / "docs/reference/metrics.md").read_text(), re.MULTILINE)
    assert told == set(rows)


@on_loop
async def test_versions_and_who_is_behind_are_told_where_management_publishes(tmp_path: Path) -> None:
    organisation = build_managed(tmp_path / "m")
    ports = {name: ask_for_figures(organisation, name) for name in (MGMT, FE1)}
    async with Managed(organisation, tmp_path) as network:
        await network.start(MGMT, FE1, FE2, EDGE)
        await network.acknowledged(1)
        await network.stop(FE2)
        await network.publish(lambda document: document.update(sip_domains=["example.test", "example.net"]))
        await network.acknowledged(2)
        ours, fe1 = await figures(ports[MGMT]), await figures(ports[FE1])
        head = network.master.audit_head()
    assert head is not None
    for found in (ours, fe1):
        assert found[labelled("sipmesh_topology_version")] == found[labelled("sipmesh_topology_newest")] == 2
    assert ours[labelled("sipmesh_servers_behind")] == 1
    assert ours[labelled("sipmesh_audit_lines", head=head.hash)] == head.seq
    assert 0 <= fe1[labelled("sipmesh_management_unheard_seconds")] < 30
    assert labelled("sipmesh_servers_behind") not in fe1


@on_loop
async def test_servers_that_answer_and_those_that_do_not_are_told_apart(pool: Network) -> None:
    port = ask_for_figures(pool.organisations[0])
    async with pool, page_of(pool):
        alice, _ = await pool.agent("alice", FE1), await pool.agent("bob", FE2)
        assert (await alice.message("bob@example.test", "hello")).ok
        assert (await figures(port))[labelled("sipmesh_server_up", server=FE2)] == 1
        pool.nodes[FE1].outages.silent(FE2, "test")
        found = await figures(port)
        assert found[labelled("sipmesh_server_up", server=FE2)] == 0
        assert found[labelled("sipmesh_server_outages_total", server=FE2)] == 1


@on_loop
async def test_server_that_drains_is_not_healthy(home: Network) -> None:
    port = ask_for_figures(home.organisations[0])
    async with home, page_of(home):
        assert (await get(port, "/health"))[0] == 200
        assert (await figures(port))[labelled("sipmesh_draining")] == 0
        home.nodes[FE1].dispatch.drain()
        status, text = await get(port, "/health")
        assert (status, "this server drains" in text) == (503, True)
        assert (await figures(port))[labelled("sipmesh_draining")] == 1


@on_loop
async def test_calls_that_are_up_are_counted(home: Network) -> None:
    port = ask_for_figures(home.organisations[0])
    async with home, page_of(home):
        alice, bob = await home.phone("alice", FE1), await home.phone("bob", FE1)
        assert (await figures(port))[labelled("sipmesh_calls_up")] == 0
        await talking(alice, bob)
        assert (await figures(port))[labelled("sipmesh_calls_up")] == 1


@on_loop
async def test_messages_registrations_and_failed_links_are_counted(home: Network) -> None:
    port = ask_for_figures(home.organisations[0])
    async with home, page_of(home):
        alice = await home.phone("alice", FE1)
        assert (await alice.register()).status == 200
        await alice.send(alice.request("MESSAGE", "sip:alice@example.test"))
        await alice.reply(await alice.request_in("MESSAGE"), 200)
        await alice.final()
        stranger = await home.peer(FE1)
        await stranger.write(b"GET / HTTP/1.1\r\n\r\n")
        await stranger.hung_up()
        await until(home.nodes[FE1].gatekeeper.client_refusals.counts.total)
        told = await figures(port)
        assert told[labelled("sipmesh_requests_answered_total", method="REGISTER", **{"class": "2xx"})] == 2
        assert told[labelled("sipmesh_requests_answered_total", method="MESSAGE", **{"class": "2xx"})] == 1
        assert told[labelled("sipmesh_client_links_failed_total", reason="http-on-sip-port")] == 1
