"""An agent applies signed documents, passes them to the edges behind it, and reports what is in force. No network."""

from __future__ import annotations

import asyncio
import json
import shutil
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from sipmesh.distribution.event import EVENT, ITEM, STATUS_EVENT, SubscriptionDialog
from sipmesh.distribution.items import Item, ItemKind, ReplicationState
from sipmesh.pki.authority import EnterpriseCa
from sipmesh.server.agent.crl_receiver import MOST_EARLY
from sipmesh.server.agent.document_applier import WAIT_FOR_LISTS_S
from sipmesh.server.agent.status_reporter import MOST_ERRORS, REPORT_EVERY_S
from sipmesh.server.agent.storage_retry import LONGEST_PAUSE_S
from sipmesh.server.replication.control_links import hops_to
from sipmesh.server.replication.stored_users import USERS
from sipmesh.server.wiring import here
from sipmesh.sip.message import Request, Response
from sipmesh.storage.users.user_document import UserDocument
from sipmesh.topology.view import view
from sipmesh.trust.evidence import Direction
from support.control_plane import Plane
from support.full_disk import limited_to
from support.managed import MGMT, Managed
from support.network import EDGE, FE1, FE2, FE3, POOL
from support.running import on_jumping_loop
from support.wires import Wire

LIST, OTHER_LIST = "ca/issuing.crl", "ca/other.crl"


class Giver:
    """Management, played by the test: it accepts the subscription of a server, and sends what the test wants."""

    def __init__(self, plane: Plane, server: str = FE1, giver: str = MGMT) -> None:
        self.plane, self.server = plane, server
        self.here = replace(here(plane.hosts[MGMT].view), name=giver)
        self.wire = Wire(plane.hosts[server].view.trusted[giver], Direction.ACCEPTED)
        plane.agents[server].link_up(self.wire.link)
        self.asked = [message for message in self.wire.taken() if isinstance(message, Request)]
        begun = self.asked[0] if self.asked else self.here.first("SUBSCRIBE", server, [])
        self.dialog = SubscriptionDialog(begun.call_id, "m", begun.from_.tag or "", server)

    def ask(self, request: Request) -> Response:
        """Send a request and return its response."""
        self.plane.deliver(request, self.server, self.wire)
        [answer] = [one for one in self.wire.taken() if isinstance(one, Response)]
        return answer

    def notify(self, headers: list[tuple[str, str]], body: bytes) -> int:
        """Send a NOTIFY of the subscription, and return the status of its response."""
        fixed = [("event", EVENT), ("subscription-state", "active"), *headers]
        return self.ask(self.here.next("NOTIFY", self.dialog, fixed, body)).status

    def give(self, item: Item) -> int:
        """Send a document."""
        return self.notify([(ITEM, item.header)], item.body)

    def topology(self, jws: bytes) -> int:
        """Send a version."""
        return self.give(Item(ItemKind.TOPOLOGY, jws))

    def tell(self, *items: Item, highest: int = 0) -> int:
        """Announce what management has."""
        held = {item.key: (item.number, item.digest) for item in items}
        return self.notify([], ReplicationState(held, datetime.now(UTC).isoformat(), highest).encode())


def error(plane: Plane, server: str = FE1) -> str:
    """Return the error in a server's report."""
    plane.agents[server].reporter.report()
    return str(plane.agents[server].reporter._errors)


def another_list(managed: Managed) -> bytes:
    """Return the next CRL of our issuing CA; the file does not change."""
    file = managed.organisation.folder / LIST
    before = file.read_bytes()
    EnterpriseCa.open(managed.organisation.folder / "ca").crls.publish(datetime.now(UTC))
    made = file.read_bytes()
    file.write_bytes(before)
    return made


# Who may give documents


@pytest.mark.parametrize(("server", "giver", "asks"), [(FE1, MGMT, 1), (FE1, EDGE, 0), (EDGE, FE1, 1), (EDGE, FE3, 0)])
@on_jumping_loop
async def test_server_subscribes_on_links_that_may_give_documents(
    managed: Managed, server: str, giver: str, asks: int
) -> None:
    """Management gives documents to a front end, and a front end of its next hop to an edge."""
    with Plane(managed) as plane:
        assert len(Giver(plane, server, giver).asked) == asks


@on_jumping_loop
async def test_document_from_another_server_is_refused(managed: Managed) -> None:
    with Plane(managed) as plane:
        assert Giver(plane, FE1, EDGE).topology(managed.version(2)) == 403
        assert Giver(plane).topology(managed.version(2)) == 200


@on_jumping_loop
async def test_server_of_the_same_pool_is_asked_once(managed: Managed) -> None:
    with Plane(managed, FE1) as plane:
        wire = plane.wire(FE1, FE2)
        plane.agents[FE1].link_up(wire.link)
        [request] = wire.taken()
        assert isinstance(request, Request)
        assert (request.method, request.expires) == ("SUBSCRIBE", 0)
        plane.agents[FE1].link_down(wire.link, "closed")


@on_jumping_loop
async def test_subscription_from_elsewhere_is_refused_as_an_unknown_event(managed: Managed) -> None:
    """RFC 6665 8.3.2; a request of another event package is not answered here."""
    with Plane(managed) as plane:
        giver = Giver(plane, FE1, EDGE)
        body = ReplicationState({}, "").encode()
        assert giver.ask(giver.here.first("SUBSCRIBE", FE1, [("event", EVENT)], body)).status == 489
        other = giver.here.first("SUBSCRIBE", FE1, [("event", "presence")])
        assert not plane.agents[FE1].requested(giver.wire.link, plane.hosts[FE1].view.trusted[EDGE], other)


# Versions


@on_jumping_loop
async def test_version_is_stored_in_force_and_passed_to_the_edge(managed: Managed) -> None:
    with Plane(managed) as plane:
        plane.connect(FE1, EDGE)
        assert Giver(plane).topology(managed.version(2)) == 200
        plane.exchange()
        for name in (FE1, EDGE):
            assert (plane.number(name), managed.holding(name).highest) == (2, 2)
            assert plane.agents[name].behind == 0
        assert [line["version"] for line in plane.hosts[EDGE].told.events("topology in force")] == [2]


@on_jumping_loop
async def test_refused_version_is_reported_until_another_is_accepted(managed: Managed) -> None:
    with Plane(managed) as plane:
        giver = Giver(plane)
        wrong = managed.signed(managed.payload(2), managed.credentials(FE2))
        assert giver.topology(wrong) == 488
        assert "which is not trusted" in error(plane)
        assert (plane.number(FE1), managed.holding(FE1).highest) == (1, 1)
        assert giver.topology(managed.version(2)) == 200
        assert error(plane) == "{}"


@on_jumping_loop
async def test_version_that_failed_is_accepted_when_it_is_sent_again(managed: Managed) -> None:
    with Plane(managed, FE1) as plane:
        giver, jws = Giver(plane), managed.version(2)
        plane.hosts[FE1].refuses = "it would become an edge"
        assert giver.topology(jws) == 488
        assert (plane.number(FE1), "would become an edge" in error(plane)) == (1, True)
        plane.hosts[FE1].refuses = ""
        assert giver.topology(jws) == 200
        assert plane.number(FE1) == 2


@on_jumping_loop
async def test_announced_version_makes_the_server_behind(managed: Managed) -> None:
    with Plane(managed, FE1) as plane:
        giver, agent = Giver(plane), plane.agents[FE1]
        assert (agent.behind, agent.newest) == (0, 1)
        assert giver.tell(highest=7) == 200
        assert (agent.behind, agent.newest) == (7, 7)
        assert [line["version"] for line in plane.hosts[FE1].told.events("a newer topology version exists")] == [7]


# CRLs


@on_jumping_loop
async def test_crl_is_written_and_read(managed: Managed) -> None:
    with Plane(managed, FE1) as plane:
        item, file = Item(ItemKind.LIST, another_list(managed), LIST), managed.folder(FE1) / LIST
        assert Giver(plane).give(item) == 200
        assert (file.read_bytes(), plane.hosts[FE1].looked) == (item.body, [file])


@on_jumping_loop
async def test_early_crl_is_written_with_the_version_that_names_it(managed: Managed) -> None:
    with Plane(managed, FE1) as plane:
        giver, file = Giver(plane), managed.folder(FE1) / OTHER_LIST
        item = Item(ItemKind.LIST, another_list(managed), OTHER_LIST)
        assert giver.give(item) == 200
        assert not file.exists()
        name_another_list(managed)
        assert giver.topology(managed.version(2)) == 200
        assert file.read_bytes() == item.body


def name_another_list(managed: Managed) -> None:
    """Let the draft name one more CRL, which is on the management host."""
    ours = managed.organisation.folder
    shutil.copy(ours / LIST, ours / OTHER_LIST)

    def change(document: dict[str, Any]) -> None:
        document["authority"]["crls"].append(OTHER_LIST)

    managed.edit(change)


@pytest.mark.parametrize("comes", [True, False])
@on_jumping_loop
async def test_version_waits_a_limited_time_for_an_announced_crl(managed: Managed, *, comes: bool) -> None:
    with Plane(managed, FE1) as plane:
        giver, item = Giver(plane), Item(ItemKind.LIST, another_list(managed), OTHER_LIST)
        name_another_list(managed)
        giver.tell(item)
        assert giver.topology(managed.version(2)) == 200
        assert plane.number(FE1) == 1
        if comes:
            assert giver.give(item) == 200
            assert plane.number(FE1) == 2
        await asyncio.sleep(WAIT_FOR_LISTS_S + 0.1)
        assert (plane.number(FE1), (managed.folder(FE1) / OTHER_LIST).exists()) == (2, comes)


@on_jumping_loop
async def test_crl_outside_the_folder_or_beyond_the_limit_is_refused(managed: Managed) -> None:
    with Plane(managed, FE1) as plane:
        giver, body = Giver(plane), another_list(managed)
        assert giver.give(Item(ItemKind.LIST, body, "../outside.crl")) == 488
        assert not (managed.folder(FE1).parent / "outside.crl").exists()
        plane.agents[FE1].applier._crls._early["large"] = Item(ItemKind.LIST, bytes(MOST_EARLY), "large")
        assert giver.give(Item(ItemKind.LIST, body, OTHER_LIST)) == 488
        plane.agents[FE1].applier._crls._early.clear()
        assert giver.give(Item(ItemKind.LIST, body, OTHER_LIST)) == 200


# Users, certificates, revocations


def users(managed: Managed, part: int, parts: int, number: int = 3) -> Item:
    document = UserDocument(managed.organisation.domain, POOL, number, part=part, parts=parts)
    return Item(ItemKind.USERS, managed.signed(document.encode(), kind=USERS), str(part), number)


@on_jumping_loop
async def test_users_are_in_force_and_stored_once_all_parts_have_arrived(managed: Managed) -> None:
    with Plane(managed, FE1) as plane:
        giver = Giver(plane)
        assert giver.give(users(managed, 1, 2)) == 200
        assert (plane.hosts[FE1].number, managed.holding(FE1).users.read().documents) == (0, ())
        assert giver.give(users(managed, 2, 2)) == 200
        assert (plane.hosts[FE1].number, len(managed.holding(FE1).users.read().documents)) == (3, 2)


@on_jumping_loop
async def test_users_that_management_has_not_signed_are_refused(managed: Managed) -> None:
    with Plane(managed, FE1) as plane:
        document = UserDocument(managed.organisation.domain, POOL, 3).encode()
        assert (
            Giver(plane).give(Item(ItemKind.USERS, managed.signed(document, managed.credentials(FE2), USERS), "1", 3))
            == 488
        )
        assert plane.hosts[FE1].number == 0


@pytest.mark.parametrize(
    "kind", [ItemKind.CERTIFICATE, ItemKind.REVOKED, ItemKind.USERS, ItemKind.LIST, ItemKind.TOPOLOGY]
)
@on_jumping_loop
async def test_malformed_document_is_refused_and_reported(managed: Managed, kind: ItemKind) -> None:
    with Plane(managed, FE1) as plane:
        assert Giver(plane).give(Item(kind, b"nothing", LIST if kind is ItemKind.LIST else FE1)) == 488
        assert f"{kind} from {MGMT}" in error(plane)


@on_jumping_loop
async def test_certificate_of_an_edge_is_kept_for_it(managed: Managed) -> None:
    with Plane(managed) as plane:
        assert Giver(plane).give(Item(ItemKind.CERTIFICATE, b"for the edge", EDGE)) == 200
        agent, edge = plane.agents[FE1], plane.hosts[FE1].view.trusted[EDGE]
        assert [item.body for item in agent.held.items(edge) if item.kind is ItemKind.CERTIFICATE] == [b"for the edge"]
        assert [item for item in agent.held.items(None) if item.kind is ItemKind.CERTIFICATE] == []
        assert [item for item in agent.held.items(edge) if item.kind is ItemKind.USERS] == []


@on_jumping_loop
async def test_reported_errors_are_limited(managed: Managed) -> None:
    with Plane(managed, FE1) as plane:
        giver = Giver(plane)
        for number in range(MOST_ERRORS + 1):
            assert giver.give(Item(ItemKind.LIST, b"nothing", f"/{number}.crl")) == 488
        assert len(plane.agents[FE1].reporter._errors) == MOST_ERRORS


# Reports


@on_jumping_loop
async def test_server_reports_every_ten_seconds(managed: Managed) -> None:
    with Plane(managed, FE1) as plane:
        plane.connect(MGMT, FE1)
        agent, loop = plane.agents[FE1], asyncio.get_running_loop()
        before = plane.controller.reports.reports[FE1].heard_at
        plane.hosts[FE1].status = plane.hosts[FE1].status.model_copy(update={"certificate_fault": "gone"})
        agent.tick()
        plane.exchange()
        assert plane.controller.reports.reports[FE1].heard_at == before
        begun = loop.time()
        await asyncio.sleep(REPORT_EVERY_S)
        assert agent.unheard_s >= loop.time() - begun
        agent.tick()
        plane.exchange()
        assert plane.controller.reports.reports[FE1].status.certificate_fault == "gone"
        assert agent.unheard_s == 0


@on_jumping_loop
async def test_unreadable_report_of_an_edge_is_reported_to_management(managed: Managed) -> None:
    with Plane(managed) as plane:
        plane.connect_all()
        body = json.dumps({"number": "seven"}).encode()
        request = here(plane.hosts[EDGE].view).first("PUBLISH", FE1, [("event", STATUS_EVENT)], body)
        plane.deliver(request, FE1, plane.wire(FE1, EDGE))
        plane.exchange()
        assert "number" in plane.controller.reports.misread[EDGE][FE1]
        assert [line["peer"] for line in plane.hosts[FE1].told.events("server report rejected")] == [EDGE]


def test_hop_to_a_server_is_its_published_address(managed: Managed) -> None:
    seen = view(managed.organisation.load(), FE1)
    hops = hops_to(seen, [FE1, FE2])
    assert {name: hop.addresses for name, hop in hops.items()} == {FE2: (seen.addresses[FE2],)}


# A full disk


@on_jumping_loop
async def test_version_that_the_disk_has_no_room_for_is_stored_later(managed: Managed) -> None:
    """The version is refused, the log has one line a minute, the report has the file and the remedy, and it heals by itself."""
    with Plane(managed, FE1) as plane:
        giver, agent = Giver(plane), plane.agents[FE1]
        with limited_to(100):
            version = managed.version(5)
            assert giver.topology(version) == 488
            for _ in range(180):
                await asyncio.sleep(0.5)
                agent.tick()
            assert giver.topology(version) == 200  # it is here already, and is tried at its own pace
            assert plane.hosts[FE1].view.loaded.number == 1
            assert "cannot be written: File too large; raise the limit" in error(plane)
            assert len(list(plane.hosts[FE1].told.events("document not stored: sipmesh tries again"))) == 2
        await asyncio.sleep(LONGEST_PAUSE_S)
        agent.tick()
        assert (plane.hosts[FE1].view.loaded.number, managed.holding(FE1).load().number, error(plane)) == (5, 5, "{}")


@on_jumping_loop
async def test_crl_and_certificate_are_stored_when_the_disk_has_room(managed: Managed) -> None:
    with Plane(managed, FE1) as plane:
        giver, agent, crl = Giver(plane), plane.agents[FE1], another_list(managed)
        with limited_to(100):
            assert giver.give(Item(ItemKind.LIST, crl, LIST)) == 488
        assert str(managed.folder(FE1) / LIST) in error(plane)
        await asyncio.sleep(LONGEST_PAUSE_S)
        agent.tick()
        assert (managed.folder(FE1) / LIST).read_bytes() == crl
        assert error(plane) == "{}"


@on_jumping_loop
async def test_users_are_in_force_without_room_and_management_is_told_what_is_stored(managed: Managed) -> None:
    with Plane(managed, FE1) as plane:
        giver, agent = Giver(plane), plane.agents[FE1]
        assert giver.give(users(managed, 1, 1, number=3)) == 200
        with limited_to(100):
            assert giver.give(users(managed, 1, 1, number=4)) == 200
        assert (plane.hosts[FE1].number, agent.held.state().users) == (4, 3)
        assert "users are in force, but not stored" in error(plane)
        await asyncio.sleep(LONGEST_PAUSE_S)
        agent.tick()
        assert (agent.held.state().users, managed.holding(FE1).users.read().number, error(plane)) == (4, 4, "{}")
