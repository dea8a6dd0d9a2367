"""A network that runs by publications: what is published gets to every server, and management may be away meanwhile."""

from __future__ import annotations

import asyncio
import json
import random
import re
import shutil
import signal
import socket
from collections.abc import Iterable
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from sipmesh.demo.organisation import Organisation
from sipmesh.errors import SipmeshError
from sipmesh.pki.crl.builder import Reason
from sipmesh.server.running.running_server import RunningServer
from sipmesh.sip.digest import Algorithm
from sipmesh.storage.audit_act import AuditAct
from sipmesh.storage.management_db import ManagementDb
from sipmesh.storage.users.user_database import Users
from sipmesh.transport.link.state import LinkState
from sipmesh.trust.evidence import LinkKind
from sipmesh.trust.role import Role
from support.giver import Giver
from support.managed import MGMT, Managed, links_between, without
from support.network import (
    BOT,
    EDGE,
    EDGES,
    EXAMPLE,
    FE1,
    FE2,
    FE3,
    PARTNER,
    PARTNER_EDGE,
    PARTNER_EDGES,
    POOL2,
    hung_up_by_the_other,
    ringing,
)
from support.peer import HungUpError, Peer
from support.process import serving
from support.running import on_loop, until, within

MEMBERS = (FE1, FE2, EDGE)


def remark(document: dict[str, Any]) -> None:
    """A change that changes nothing for any server."""
    document["sip_domains"] = [EXAMPLE, f"d{len(document['sip_domains'])}.test", *document["sip_domains"][1:]]


def blocked(*domains: str) -> Any:
    def change(document: dict[str, Any]) -> None:
        document.setdefault("federation", {"route": EDGES})["blocked"] = list(domains)

    return change


def up(*nodes: RunningServer) -> set[str]:
    """The ids of the links of servers that are up, by server."""
    return {f"{node.view.name} {link.id}" for node in nodes for link in node.pool.all() if link.state is LinkState.UP}


async def linked(network: Managed) -> None:
    """Wait until front ends and edge have the links that a network has before its first call."""
    await until(lambda: links_between(network.nodes[FE1], FE2) and links_between(network.nodes[FE2], FE1))
    for front_end in (FE1, FE2):
        await until(lambda front_end=front_end: links_between(network.nodes[EDGE], front_end))  # type: ignore[misc]


async def shut_out(peer: Peer) -> None:
    """See that a peer is refused; with TLS 1.3 it learns of that only after its handshake."""
    with pytest.raises(HungUpError):
        await peer.ask(peer.request("OPTIONS", f"sip:{EXAMPLE}"))


def audit(organisation: Organisation) -> list[tuple[str, dict[str, Any]]]:
    management_db = ManagementDb(organisation.folder)
    try:
        return [(str(line.act), dict(line.about)) for line in management_db.audit.read()]
    finally:
        management_db.close()


def faults(organisation: Organisation) -> list[str]:
    management_db = ManagementDb(organisation.folder)
    try:
        return list(management_db.history.verify())
    finally:
        management_db.close()


# Publishing


@on_loop
async def test_version_reaches_every_server_and_each_one_reports_it(managed: Managed) -> None:
    """An edge gets it from a front end, and reports through a front end."""
    async with managed:
        await managed.start(MGMT, *MEMBERS)
        await managed.acknowledged(1)
        told = await managed.publish(blocked("evil.test"), why="evil.test is evil")
        assert told["version"] == 2
        assert told["changes"]
        answer = await managed.ask(MGMT, "acknowledged", version=2, wait_s=0)
        await managed.acknowledged(2)
        network = await managed.network()
        assert {name: network[name]["number"] for name in MEMBERS} == dict.fromkeys(MEMBERS, 2)
        assert network[EDGE]["by"] in {FE1, FE2}
        assert network[FE3]["number"] is None
        assert set(answer["missing"]) >= {FE3}
        for name in MEMBERS:
            assert managed.nodes[name].view.loaded.topology.federation.blocked == ("evil.test",)
            assert managed.holding(name).document() == managed.published(2)


@on_loop
@pytest.mark.wide
async def test_draft_is_in_force_nowhere_before_it_is_published(managed: Managed) -> None:
    async with managed:
        await managed.start(MGMT, FE1)
        managed.edit(blocked("evil.test"))
        for name in (MGMT, FE1):
            await managed.ask(name, "reload")
            assert managed.number(name) == 1
            assert not managed.nodes[name].view.loaded.topology.federation.blocked
        await managed.publish()
        await managed.in_force(2)


@on_loop
@pytest.mark.wide
async def test_links_of_a_removed_server_go_down_and_no_others(managed: Managed) -> None:
    """Its certificates are revoked too, so that a server which was kept from the version refuses it in the end."""
    async with managed:
        await managed.start(MGMT, *MEMBERS)
        await managed.acknowledged(1)
        await linked(managed)
        alice = await managed.agent("alice", FE1)
        rest = [managed.nodes[name] for name in (MGMT, FE1, EDGE)]
        doomed = {f"{node.view.name} {link.id}" for node in rest for link in node.pool.all() if link.peer_name == FE2}
        others = up(*rest) - doomed
        assert len(doomed) >= 3
        told = await managed.publish(without(FE2), why="fe2 is sold")
        await managed.in_force(2, MGMT, FE1, EDGE)
        await until(lambda: not doomed & up(*rest))
        assert others <= up(*rest)
        assert (await alice.message(alice.party.aor, "still there")).ok
        assert told["version"] == 2
        revoked = [one for one in managed.organisation.ca.certificates if one.names[0] == FE2 and one.revoked_at]
        assert revoked
        assert (str(AuditAct.REVOKE), FE2) in [(act, about.get("server")) for act, about in audit(managed.organisation)]
        serials = {one.serial for one in revoked}
        for name in (FE1, EDGE):
            await until(lambda name=name: serials <= revoked_on(managed, name))  # type: ignore[misc]
        await shut_out(await managed.peer(FE1, FE2))


def revoked_on(network: Managed, name: str) -> set[int]:
    from cryptography import x509

    crl = x509.load_pem_x509_crl((network.folder(name) / "ca" / "issuing.crl").read_bytes())
    return {one.serial_number for one in crl}


@on_loop
@pytest.mark.wide
async def test_rollback_is_a_new_version_with_the_old_content(managed: Managed) -> None:
    async with managed:
        await managed.start(MGMT, *MEMBERS)
        await managed.acknowledged(1)
        await managed.publish(blocked("evil.test"))
        told = await managed.ask(MGMT, "rollback", version=1, base=2, why="it was not evil")
        assert told["version"] == 3
        await managed.acknowledged(3)
        for name in MEMBERS:
            assert not managed.nodes[name].view.loaded.topology.federation.blocked
        history = await managed.ask(MGMT, "history")
        assert [(one["version"], one["why"]) for one in history] == [
            (1, "it begins"),
            (2, "because"),
            (3, "it was not evil"),
        ]
        assert not faults(managed.organisation)


@on_loop
@pytest.mark.wide
async def test_second_of_two_operators_sees_who_was_first(managed: Managed) -> None:
    """Nothing is merged: they look at what has changed, and publish then."""
    async with managed:
        await managed.start(MGMT, FE1)
        managed.edit(blocked("evil.test"))
        first, second = await managed.ask(MGMT, "plan"), await managed.ask(MGMT, "plan")
        given = {"base": first["base"], "digest": first["digest"]}
        assert (await managed.ask(MGMT, "publish", why="mine", **given))["version"] == 2
        with pytest.raises(
            SipmeshError, match=r"another operator has published after version 1: version 2 by .*: mine"
        ):
            await managed.ask(MGMT, "publish", why="also mine", base=second["base"], digest=second["digest"])
        managed.edit(blocked("evil.test", "worse.test"))
        with pytest.raises(SipmeshError, match="has changed since it was compared"):
            await managed.ask(MGMT, "publish", why="also mine", base=2, digest=second["digest"])
        assert (await managed.publish())["version"] == 3
        refused = [about for act, about in audit(managed.organisation) if act == AuditAct.REFUSED]
        assert len(refused) == 2
        assert not faults(managed.organisation)


@on_loop
@pytest.mark.wide
async def test_version_that_breaks_something_needs_force_and_says_what(managed: Managed) -> None:
    """Without it nothing has changed, anywhere; with it the version says that it was forced."""

    def pool_goes(document: dict[str, Any]) -> None:
        document["pools"] = [one for one in document["pools"] if one["name"] != POOL2]

    add_user(managed.organisation, "dora", POOL2)
    async with managed:
        await managed.start(MGMT, FE1)
        with pytest.raises(SipmeshError, match=f"pool {POOL2} is removed"):
            await managed.publish(pool_goes)
        assert managed.number(MGMT) == managed.number(FE1) == 1
        told = await managed.publish(force=True)
        assert any(POOL2 in one for one in told["forced"])
        await managed.in_force(2)
        acts = [act for act, _ in audit(managed.organisation)]
        assert {AuditAct.REFUSED, AuditAct.FORCED, AuditAct.PUBLISH} <= set(acts)


CRLS = "ca/root.crl", "ca/issuing.crl"


@pytest.mark.parametrize("crl", CRLS)
@on_loop
async def test_version_without_a_crl_of_our_ca_is_refused_by_force_too(managed: Managed, crl: str) -> None:
    """Each server would refuse all certificates of our CA, and no later version could repair it. Control: both CRLs are named."""

    def take_away(document: dict[str, Any]) -> None:
        document["authority"]["crls"] = [one for one in CRLS if one != crl]

    async with managed:
        await managed.start(MGMT, FE1)
        with pytest.raises(SipmeshError, match="no CRL any more"):
            await managed.publish(take_away)
        with pytest.raises(SipmeshError, match="no version could follow this one"):
            await managed.publish(force=True)
        assert managed.number(MGMT) == managed.number(FE1) == 1
        await managed.publish(lambda document: document["authority"].update(crls=[*CRLS]))
        await managed.in_force(2)
        assert links_between(managed.nodes[MGMT], FE1)


# Partners


def partner_entry(network: Managed, partner: Organisation) -> dict[str, object]:
    """Our entry of partner.test; its anchor is embedded, its lists lie in our folder."""
    folder = network.organisation.folder / "partners"
    folder.mkdir(exist_ok=True)
    shutil.copy(partner.root, folder / "root.pem")
    for file in partner.lists:
        shutil.copy(file, folder / Path(file).name)
    lists = [f"partners/{Path(file).name}" for file in partner.lists]
    return {"domains": [PARTNER], "edge": PARTNER_EDGES, "anchors": ["partners/root.pem"], "crls": lists}


@on_loop
@pytest.mark.wide
async def test_partner_comes_and_goes_by_publications(managed: Managed, partner_model: Organisation) -> None:
    """Its links, and only those, go down when it is blocked, and when it is removed; its lists travel with the version."""
    credentials = partner_model.credentials(PARTNER_EDGE)

    def federate(document: dict[str, Any]) -> None:
        partners = [partner_entry(managed, partner_model)]
        document["federation"] = {"route": EDGES, "partners": partners, "blocked": []}

    def leaves(*, is_blocked: bool) -> Any:
        def change(document: dict[str, Any]) -> None:
            document["federation"].update(partners=[], blocked=[PARTNER] if is_blocked else [])

        return change

    async def comes() -> Peer:
        peer = await managed.peer_with(credentials, EDGE, LinkKind.PARTNER)
        answer = await peer.ask(peer.request("OPTIONS", f"sip:{EXAMPLE}", sender=f"<sip:erin@{PARTNER}>;tag=1"))
        assert answer.status != 0
        return peer

    async with managed:
        await managed.start(MGMT, *MEMBERS)
        await managed.acknowledged(1)
        await linked(managed)
        others = up(*managed.nodes.values())
        for number, is_blocked in ((2, True), (4, False)):
            await shut_out(await managed.peer_with(credentials, EDGE, LinkKind.PARTNER))
            await managed.publish(federate, why="we talk")
            await managed.acknowledged(number)
            peer = await comes()
            await managed.publish(leaves(is_blocked=is_blocked), why="we talk no more")
            await peer.hung_up()
            await managed.acknowledged(number + 1)
            assert others <= up(*managed.nodes.values())
        await shut_out(await managed.peer_with(credentials, EDGE, LinkKind.PARTNER))
        assert AuditAct.BLOCK in [act for act, _ in audit(managed.organisation)]


# Management may be away


@on_loop
@pytest.mark.wide
async def test_without_management_servers_start_from_what_they_hold_and_calls_go_on(managed: Managed) -> None:
    async with managed:
        await managed.start(MGMT, *MEMBERS)
        await managed.acknowledged(1)
        await managed.publish(blocked("evil.test"))
        await managed.acknowledged(2)
        await until(lambda: managed.nodes[FE1].user_updates.number)
        await managed.stop(MGMT)
        await managed.stop(*MEMBERS)
        await managed.start(*MEMBERS)
        for name in MEMBERS:
            assert managed.number(name) == 2
        alice, bob = await managed.agent("alice", FE1), await managed.agent("bob", FE1)
        call = await alice.call(bob.party.aor)
        came = await ringing(bob)
        assert await hung_up_by_the_other(call, came)


@on_loop
@pytest.mark.wide
async def test_servers_catch_up_when_management_is_back(managed: Managed) -> None:
    """Also a server that was off while others got a version."""
    async with managed:
        await managed.start(MGMT, *MEMBERS)
        await managed.acknowledged(1)
        await managed.stop(FE2)
        await managed.publish(blocked("evil.test"))
        await managed.acknowledged(2, FE1, EDGE)
        await managed.stop(MGMT)
        await managed.start(FE2)
        await until(lambda: managed.member(FE2).behind == 2)  # its pool has told it
        assert managed.number(FE2) == 1
        await managed.start(MGMT)
        await managed.acknowledged(2)
        assert managed.member(FE2).behind == 0


@on_loop
@pytest.mark.wide
async def test_server_from_an_older_disk_is_behind_until_it_has_caught_up(managed: Managed) -> None:
    """It works on by what it holds, says so, and takes nothing older than what it holds. The disk is old as a whole."""
    async with managed:
        await managed.start(MGMT, *MEMBERS)
        await managed.acknowledged(1)
        old = managed.where / "old"
        shutil.copytree(managed.folder(FE1), old, ignore=shutil.ignore_patterns("*.sock"))
        await managed.publish(blocked("evil.test"))
        await managed.acknowledged(2)
        await managed.stop(FE1, MGMT)
        shutil.rmtree(managed.folder(FE1))
        shutil.copytree(old, managed.folder(FE1))
        await managed.start(FE1)
        assert managed.number(FE1) == 1
        await until(lambda: managed.member(FE1).behind == 2)
        assert any(managed.told[FE1].events("a newer topology version exists"))
        await managed.start(MGMT)
        await managed.acknowledged(2)
        assert managed.member(FE1).behind == 0
        assert managed.holding(FE1).highest == 2


# Revocations


@on_loop
async def test_revocation_typed_on_the_management_host_closes_links_on_other_servers(managed: Managed) -> None:
    """And those alone; the list then lies on every server, on the edge through a front end."""
    ca = managed.organisation.ca
    issued = ca.issue((BOT,), managed.organisation.load().topology.pools[-1].role, datetime.now(UTC))
    credentials = managed.credentials("lost")
    issued.write(*credentials)
    async with managed:
        await managed.start(MGMT, *MEMBERS)
        await managed.acknowledged(1)
        await linked(managed)
        lost = [await managed.peer_with(credentials, name) for name in (FE1, FE2)]
        kept = [await managed.peer(name, BOT) for name in (FE1, FE2)]
        for peer in (*lost, *kept):
            await peer.silent()
        others = up(*(managed.nodes[name] for name in (MGMT, EDGE)))
        await managed.type("ca", "revoke", "--serial", f"{issued.certificate.serial_number:x}")
        for peer in lost:
            await peer.hung_up()
        for peer in kept:
            await peer.silent()
        for name in MEMBERS:
            await until(lambda name=name: issued.certificate.serial_number in revoked_on(managed, name))  # type: ignore[misc]
        assert others <= up(*(managed.nodes[name] for name in (MGMT, EDGE)))


@on_loop
@pytest.mark.wide
async def test_new_crl_reaches_a_server_that_was_off(managed: Managed) -> None:
    ca = managed.organisation.ca
    async with managed:
        await managed.start(MGMT, FE1)
        await managed.acknowledged(1)
        await managed.stop(FE1)
        serial = next(one.serial for one in ca.certificates if one.names[0] == BOT)
        ca.revoke(serial, Reason.KEY_COMPROMISE, datetime.now(UTC))
        await managed.start(FE1)
        await until(lambda: serial in revoked_on(managed, FE1))
        await shut_out(await managed.peer(FE1, BOT))


# Users


def add_user(organisation: Organisation, name: str, pool: str) -> None:
    users = Users(organisation.load().users_url)
    try:
        users.add(f"{name}@{EXAMPLE}", f"{name}-secret", (Algorithm.SHA_256,), pool=pool)
    finally:
        users.close()


@within(60)
@pytest.mark.wide
async def test_users_change_on_every_server_as_the_operator_types(managed: Managed) -> None:
    """Added, given a new password, moved to another pool, removed: each takes effect where the user is at home."""

    async def status(server: str, password: str) -> int:
        phone = await managed.phone(server, "dora")
        return (await phone.register(password=password)).status

    async def logs_in(server: str, password: str) -> None:
        while await status(server, password) != 200:
            await asyncio.sleep(0.1)

    async with managed:
        await managed.start(MGMT, FE1, FE3)
        await managed.acknowledged(1)
        for name in (FE1, FE3):
            await until(lambda name=name: managed.nodes[name].user_updates.number)  # type: ignore[misc]
        number = managed.nodes[FE1].user_updates.number
        await managed.type(
            "user", "add", "dora", "--pool", "pool1.example.test", "--password-stdin", typed="dora-secret\n"
        )
        await until(lambda: managed.nodes[FE1].user_updates.number > number)
        assert await status(FE1, "dora-secret") == 200
        logged_in = await managed.phone(FE1, "dora")
        assert (await logged_in.register()).status == 200
        await managed.type("user", "password", "dora", "--password-stdin", typed="another-one\n")
        await logged_in.hung_up()
        assert await status(FE1, "another-one") == 200
        logged_in = await managed.phone(FE1, "dora")
        assert (await logged_in.register(password="another-one")).status == 200
        await managed.type("user", "move", "dora", "--pool", POOL2)
        await logged_in.hung_up()
        await logs_in(FE3, "another-one")
        logged_in = await managed.phone(FE3, "dora")
        assert (await logged_in.register(password="another-one")).status == 200
        await managed.type("user", "remove", "dora")
        await logged_in.hung_up()


@within(60)
@pytest.mark.wide
async def test_aliases_change_on_every_server_as_the_operator_types_and_close_no_link(managed: Managed) -> None:
    """Added and removed: each server of each pool follows, and the audit log has who did it."""

    async def status(caller: Peer) -> int:
        return (await caller.ask(caller.request("MESSAGE", "tel:+4930123"))).status

    add_user(managed.organisation, "dora", POOL2)
    async with managed:
        await managed.start(MGMT, FE1, FE3)
        await managed.acknowledged(1)
        for name in (FE1, FE3):
            await until(lambda name=name: managed.nodes[name].homes.of(f"sip:dora@{EXAMPLE}"))  # type: ignore[misc]
        dora, alice = await managed.phone(FE3, "dora"), await managed.phone(FE1, "alice")
        assert ((await dora.register()).status, (await alice.register()).status) == (200, 200)
        assert await status(alice) == 404
        await managed.type("user", "alias", "add", "dora", "+49-30-123")
        for name in (FE1, FE3):
            await until(lambda name=name: managed.nodes[name].homes.owner_of("sip:+4930123@tel.invalid"))  # type: ignore[misc]
        await alice.send(alice.request("MESSAGE", "tel:+4930123"))
        await dora.reply(await dora.request_in("MESSAGE"), 200)
        assert (await alice.final()).status == 200
        await managed.type("user", "alias", "remove", "dora", "+4930123")
        await until(lambda: not managed.nodes[FE1].homes.owner_of("sip:+4930123@tel.invalid"))
        assert await status(alice) == 404
        changes = [about for act, about in audit(managed.organisation) if act == AuditAct.ALIAS]
        assert [set(change) for change in changes] == [{"user", "added"}, {"user", "removed"}]


# Seeing


@on_loop
@pytest.mark.wide
async def test_clock_that_differs_is_shown(managed: Managed) -> None:
    """From 5 s on, in words; what another server brought tells nothing of a clock."""
    async with managed:
        await managed.start(MGMT, FE1)
        await managed.acknowledged(1)
        assert abs((await managed.network())[FE1]["clock_s"]) < 5
        status = managed.master.reports.reports[FE1].status
        ahead = status.model_copy(update={"at": datetime.now(UTC) + timedelta(seconds=90)})
        managed.master.reports.record(FE1, ahead, datetime.now(UTC), 1)
        managed.master.reports.record(EDGE, ahead, datetime.now(UTC), 1, by=FE1)
        network = await managed.network()
        assert network[FE1]["clock_s"] == pytest.approx(90, abs=2)
        assert network[EDGE]["clock_s"] is None
        printed = await managed.type("status", code=1)
        assert re.search(r"its clock is (89|90) s ahead", " ".join(printed.split())), printed


@on_loop
@pytest.mark.wide
async def test_status_shows_who_is_cut_off_and_exits_with_1(managed: Managed) -> None:
    async with managed:
        await managed.start(MGMT, FE1)
        await managed.acknowledged(1)
        printed = await managed.type("status", "--json", code=1)
        servers = {one["server"]: one for one in json.loads(printed)["servers"]}
        assert servers[FE1]["number"] == 1
        assert servers[FE2]["number"] is None
        assert servers[FE2]["why_not"]
        assert "no report from it yet" in " ".join((await managed.type("status", code=1)).split())


@on_loop
@pytest.mark.wide
async def test_edge_that_is_cut_off_is_not_taken_for_a_connected_edge(managed: Managed) -> None:
    """A front end goes on to bring what an edge said last, and says how old that is; the report that is newest counts."""
    async with managed:
        await managed.start(MGMT, FE1, FE2, EDGE)
        await managed.acknowledged(1)
        await managed.stop(EDGE)
        census = managed.master.reports
        await until(lambda: not links_between(managed.nodes[FE1], EDGE) and not links_between(managed.nodes[FE2], EDGE))
        said_at = census.reports[EDGE].heard_at
        while datetime.now(UTC) - said_at < timedelta(seconds=1.5):
            for name in (FE1, FE2):
                before = census.reports[name].heard_at
                managed.member(name).reporter.report()
                await until(lambda name=name, before=before: census.reports[name].heard_at > before)  # type: ignore[misc]
            assert census.reports[EDGE].heard_at - said_at < timedelta(seconds=0.75)
        await managed.start(EDGE)
        await until(lambda: census.reports[EDGE].heard_at - said_at > timedelta(seconds=1))


@on_loop
async def test_refusal_of_a_server_that_is_not_in_the_topology_says_by_which_version(managed: Managed) -> None:
    """Its reader learns whether the server that refused is behind: then the peer may well be in the topology."""
    managed.organisation.ca.issue(("fe9.example.test",), Role.FRONT_END, datetime.now(UTC)).write(
        *managed.credentials("fe9.example.test")
    )

    async def said() -> str:
        await shut_out(await managed.peer(FE1, "fe9.example.test"))
        refused = await managed.ask(FE1, "refused", most=1)
        assert refused[0]["code"] == "not-in-topology"
        return json.dumps(refused[0])

    async with managed, AsyncExitStack() as stack:
        await managed.start(FE1)
        assert "version 1" in await said()
        assert "version 7" not in await said()
        management = await Giver.meet(stack, managed, FE1)
        assert (await management.tell(highest=7)).status == 200
        assert "version 7" in await said()


# Killed while it publishes


async def _publish_and_kill(managed: Managed, delay_s: float) -> None:
    """Run management, have it publish, and kill it *delay_s* after it was asked."""
    async with serving(managed.organisation, MGMT) as process:
        managed.edit(remark)
        plan = await process.ask("plan")
        asked = asyncio.create_task(process.ask("publish", why="now", base=plan["base"], digest=plan["digest"]))
        await asyncio.sleep(delay_s)
        await process.end(signal.SIGKILL)
        await asyncio.gather(asked, return_exceptions=True)


async def _killed_at(managed: Managed, delays: Iterable[float]) -> int:
    """Kill management at each of *delays* into a publish; gives how many versions came to exist by that."""
    before = version = 1
    async with managed:
        await managed.start(*MEMBERS)
        for delay_s in delays:
            await _publish_and_kill(managed, delay_s)
            assert faults(managed.organisation) == []
            management_db = ManagementDb(managed.organisation.folder)
            head = management_db.history.head()
            management_db.close()
            assert head is not None
            assert head.number in {version, version + 1}
            version = head.number
            for name in MEMBERS:
                assert managed.holding(name).load().number == managed.number(name) <= version
        async with serving(managed.organisation, MGMT):
            await managed.in_force(version)
        await managed.stop(*MEMBERS)
        await managed.start(*MEMBERS)
        await managed.in_force(version)
    return version - before


@pytest.mark.wide
@within(60)
async def test_management_killed_while_it_publishes_leaves_a_whole_version_or_none(managed: Managed) -> None:
    """The audit log verifies, every server has a topology, and ends on the version of the master."""
    await _killed_at(managed, (0.004, 0.015, 0.3))


@pytest.mark.soak
@within(600)
async def test_management_killed_at_many_instants_of_a_publish(managed: Managed) -> None:
    """The instants are the same in each run; before the last of them the version is certainly there."""
    chosen = random.Random(4)  # noqa: S311 - instants, and no secrets
    delays = [chosen.uniform(0, 0.06) for _ in range(40)]
    came = await _killed_at(managed, [*delays, 1.0])
    assert 1 <= came <= 41


async def _answer_for(server: Peer, user: str) -> int:
    """What a message from bob to a user of ours is answered, which another server passes on."""
    sender = f"<sip:bob@{EXAMPLE}>;tag=1"
    await server.send(server.request("MESSAGE", f"sip:{user}@{EXAMPLE}", sender=sender))
    return (await server.final()).status


@on_loop
async def test_no_user_is_called_a_stranger_before_the_users_have_come(managed: Managed) -> None:
    """A front end that starts for the first time, without management: try again in a moment, it says, and not 401."""
    async with managed:
        await managed.start(FE1)
        managed.holding(FE1).users.file.unlink(missing_ok=True)
        async with await Peer.open(managed.organisation.address(FE1, LinkKind.CLIENT), f"alice@{EXAMPLE}") as phone:
            await phone.send(phone.request("REGISTER", f"sip:{EXAMPLE}", to=f"<sip:alice@{EXAMPLE}>"))
            early = await phone.final()
            assert (early.status, early.first("retry-after")) == (503, "5")
        mate = await managed.peer(FE1, FE2)
        assert await _answer_for(mate, "alice") == 503
        await managed.start(MGMT)
        await until(lambda: managed.nodes[FE1].users.ready)
        assert (await _answer_for(mate, "alice"), await _answer_for(mate, "stranger")) == (202, 404)
        async with await Peer.open(managed.organisation.address(FE1, LinkKind.CLIENT), f"alice@{EXAMPLE}") as phone:
            await phone.send(phone.request("REGISTER", f"sip:{EXAMPLE}", to=f"<sip:alice@{EXAMPLE}>"))
            assert (await phone.final()).status == 401


@on_loop
@pytest.mark.wide
async def test_crl_that_begins_in_the_future_is_accepted_by_no_server_and_heals_by_itself(managed: Managed) -> None:
    """Management's clock was 40 days ahead for a moment, and signed; once it is right the next list is in force everywhere."""
    async with managed:
        await managed.start(MGMT, FE1)
        await managed.acknowledged(1)
        ca, at = managed.organisation.ca, datetime.now(UTC)
        ours = managed.folder(FE1) / "ca" / "issuing.crl"
        before = ours.read_bytes()
        ahead = ca.crls.publish(at + timedelta(days=40))
        await managed.ask(MGMT, "files-changed")
        told = await managed.type("ca", "inventory", code=1)
        assert "is valid only in 39" in " ".join(told.split())
        await until(lambda: any(managed.told[FE1].events("document rejected: the old version stays in force")))
        assert ours.read_bytes() == before
        await managed.services[MGMT].crl_reissue.reissue()
        await managed.ask(MGMT, "files-changed")
        await until(lambda: ours.read_bytes() == ahead.read_bytes())
        await managed.type("ca", "inventory")
        await managed.stop(FE1)
        await managed.start(FE1)
        await until(lambda: links_between(managed.nodes[MGMT], FE1))


@on_loop
@pytest.mark.wide
async def test_server_whose_published_address_is_not_its_own_takes_the_version_that_is_right(managed: Managed) -> None:
    """Publishing says what counts from a restart; after it the server runs on, says what is wrong, and follows."""

    def at(address: str) -> Any:
        def change(document: dict[str, Any]) -> None:
            for pool in document["pools"]:
                for server in pool["servers"]:
                    server["machine"] = "host"
                    if server["name"] == FE1:
                        server["address"] = address

        return change

    async with managed:
        await managed.start(MGMT, FE1)
        await managed.acknowledged(1)
        told = await managed.publish(at("192.0.2.1"), why="a slip")
        assert any(f"{FE1} must be restarted to listen on its new addresses" in one for one in told["changes"])
        await managed.acknowledged(2)
        await managed.stop(FE1)
        await managed.start(FE1)
        assert managed.number(FE1) == 2
        assert any("192.0.2.1" in one for one in managed.nodes[FE1].listening.faults)
        told = await managed.publish(at("127.0.0.1"), why="mended")
        assert told["version"] == 3
        await managed.acknowledged(3)
        assert managed.nodes[FE1].listening.faults == ()
        assert (await managed.agent("alice", FE1)) is not None
        port = managed.organisation.address(FE1, LinkKind.CLIENT)[1]
        await managed.stop(FE1)
        held = socket.create_server(("127.0.0.1", port))
        with held, pytest.raises(SipmeshError, match="cannot listen"):
            await managed.start(FE1)  # a port that another process has is no address to wait for
        await managed.start(FE1)
        assert managed.nodes[FE1].listening.faults == ()
