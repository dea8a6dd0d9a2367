"""A new topology during operation: forbidden links close, allowed links open, and a bad topology changes nothing."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from sipmesh.demo.nameserver import NameServer
from sipmesh.demo.organisation import Organisation
from sipmesh.errors import OperatorError
from sipmesh.pki.crl.builder import Reason
from sipmesh.topology.document.named_files.trust_anchors import read_certificates
from sipmesh.trust.evidence import LinkKind
from support.network import EDGE, EDGES, FE1, FE2, PARTNER_EDGE, PARTNER_FE, Network, text
from support.running import on_loop, until
from support.service import service_here
from support.telling import Told


@on_loop
async def test_bad_document_leaves_the_old_one_in_force(pool: Network) -> None:
    example = pool.organisations[0]
    async with pool:
        alice, bob = await pool.agent("alice", FE1), await pool.agent("bob", FE2)
        assert (await alice.message("bob@example.test", "one")).ok
        node, before = pool.nodes[FE1], pool.nodes[FE1].view
        example.file.write_text(example.file.read_text() + "nonsense: 1\n")
        with pytest.raises(OperatorError, match="nonsense"):
            node.put_in_force(example.load())
        assert node.view is before
        assert (await alice.message("bob@example.test", "two")).ok
        assert [(await text(bob)).text for _ in range(2)] == ["one", "two"]


@on_loop
async def test_topology_without_this_server_is_refused(pool: Network) -> None:
    example = pool.organisations[0]
    async with pool:
        await pool.stop(FE2)
        front_ends = example.document["pools"][0]  # type: ignore[index]  # as written by build_example
        front_ends["servers"] = front_ends["servers"][1:]
        example.write()
        with pytest.raises(OperatorError, match=FE1):
            pool.nodes[FE1].put_in_force(example.load())
        assert FE2 in pool.nodes[FE1].view.trusted


@on_loop
async def test_removed_server_loses_its_links_and_no_other_does(federation: Network) -> None:
    example = federation.of(FE1)
    async with federation:
        alice, bob = await federation.agent("alice", FE1), await federation.agent("bob", FE2)
        erin = await federation.agent("erin", PARTNER_FE)
        assert (await alice.message("bob@example.test", "one")).ok
        assert (await alice.message("erin@partner.test", "one")).ok
        front_ends = example.document["pools"][0]  # type: ignore[index]  # as written by build_example
        front_ends["servers"] = front_ends["servers"][:1]
        example.write()
        node = federation.nodes[FE1]
        closed = {link.id for link in node.pool.all() if link.peer_name == FE2}
        assert closed
        assert set(node.put_in_force(example.load())) == closed
        assert (await alice.message("bob@example.test", "two")).status == 480
        assert (await alice.message("erin@partner.test", "two")).ok
        assert [(await text(erin)).text for _ in range(2)] == ["one", "two"]
        assert (await text(bob)).text == "one"


@on_loop
async def test_blocked_partner_loses_its_links_and_cannot_connect(federation: Network) -> None:
    example = federation.of(EDGE)
    async with federation:
        alice, erin = await federation.agent("alice", FE1), await federation.agent("erin", PARTNER_FE)
        assert (await erin.message("alice@example.test", "one")).ok
        document = example.document["federation"]
        example.document["federation"] = {"route": EDGES, "partners": [], "blocked": ["partner.test"]}
        example.write()
        for name in (EDGE, FE1, FE2):
            federation.nodes[name].put_in_force(example.load())
        assert (await alice.message("erin@partner.test", "two")).status == 403
        assert not (await erin.message("alice@example.test", "two")).ok
        assert not [link for link in federation.nodes[EDGE].pool.all() if link.kind is LinkKind.PARTNER]
        example.document["federation"] = document
        example.write()
        for name in (EDGE, FE1, FE2):
            federation.nodes[name].put_in_force(example.load())
        federation.nodes[PARTNER_EDGE].connector.forget_failures()
        assert (await erin.message("alice@example.test", "three")).ok


@on_loop
async def test_rights_of_a_live_link_follow_the_new_document(federation: Network) -> None:
    """The link stays; the new topology says what its peer may assert."""
    example = federation.of(EDGE)
    async with federation:
        theirs = await federation.peer_at(EDGE, LinkKind.PARTNER, "erin@new.test", PARTNER_EDGE)
        message = theirs.request("MESSAGE", "sip:alice@example.test")
        assert (await theirs.ask(message)).status == 403
        federation_document = example.document["federation"]
        federation_document["partners"][0]["domains"] = ["partner.test", "new.test"]  # type: ignore[index]  # as above
        example.write()
        for name in (EDGE, FE1, FE2):
            assert federation.nodes[name].put_in_force(example.load()) == []
        assert (await theirs.ask(theirs.request("MESSAGE", "sip:alice@example.test"))).status == 202


@on_loop
async def test_changed_ports_are_logged_as_needing_a_restart(home: Network) -> None:
    example = home.organisations[0]
    async with home:
        example.document["pools"][0]["servers"][0]["ports"]["client"] = 1  # type: ignore[index]  # as above
        example.write()
        home.nodes[FE1].put_in_force(example.load())
        assert list(home.told[FE1].events("published addresses or ports differ: restart this server to use them"))
        assert (await home.phone("alice", FE1)).user == "alice@example.test"


@on_loop
async def test_request_in_a_dialog_with_a_removed_server_is_refused(pool: Network) -> None:
    """The token still names the pool, but the pool has no other server any more."""
    example = pool.organisations[0]
    async with pool:
        alice, bob = await pool.agent("alice", FE1), await pool.agent("bob", FE2)
        made = await alice.call("bob@example.test")
        assert (await made.answered()).ok
        front_ends = example.document["pools"][0]  # type: ignore[index]  # as above
        front_ends["servers"] = front_ends["servers"][:1]
        example.write()
        pool.nodes[FE1].put_in_force(example.load())
        ended = await made.hang_up()
        assert ended is not None
        assert ended.status == 403
        await until(lambda: not bob.events.empty())


@on_loop
async def test_changed_name_servers_are_used_at_once(federation: Network) -> None:
    """No restart is needed: a wrong DNS setting may be the reason why a partner cannot be found."""
    example = federation.of(FE1)
    other = await NameServer(federation.dns.records).start()
    async with federation:
        for name in [held for held in federation.dns.records if held[0].endswith("partner.test")]:
            del federation.dns.records[name]
        alice, erin = await federation.agent("alice", FE1), await federation.agent("erin", PARTNER_FE)
        assert (await alice.message("erin@partner.test", "one")).status == 500
        example.document["dns"] = {"servers": [other.setting]}
        example.write()
        federation.nodes[EDGE].put_in_force(example.load())
        assert (await alice.message("erin@partner.test", "two")).ok
        assert (await text(erin)).text == "two"
    other.close()


@on_loop
async def test_changed_crl_is_in_force_at_once_without_a_reload(example: Organisation) -> None:
    told = Told()
    async with service_here(example, told, FE1) as (service, node):
        before, file = node.view.loaded, example.folder / "ca" / "issuing.crl"
        serial = read_certificates(example.credentials(FE2)[0])[0].serial_number
        example.ca.revoke(serial, Reason.KEY_COMPROMISE, datetime.now(UTC))
        answer = service._reading.look([file])
        assert (answer.taken, node.view.loaded) == (True, before)
        assert any(serial in held.serials for held in node.view.loaded.authority.lists)
        assert told.last("CRLs in force")["faults"] == []


@on_loop
async def test_unreadable_crl_is_not_used_and_logged(example: Organisation) -> None:
    told = Told()
    async with service_here(example, told, FE1) as (service, node):
        held = list(node.view.loaded.authority.lists)
        (example.folder / "ca" / "issuing.crl").write_bytes(b"nothing")
        service._reading.look()
        assert (
            told.last("CRLs in force")["level"],
            bool(told.last("CRLs in force")["faults"]),
        ) == ("warning", True)
        assert list(node.view.loaded.authority.lists) == held[:1]


@on_loop
async def test_changed_topology_is_in_force_completely_or_not_at_all(example: Organisation) -> None:
    told = Told()
    async with service_here(example, told, FE1) as (service, node):
        good, before = example.file.read_text(), node.view.loaded.digest
        example.file.write_text("sipmesh: 1\n")
        answer = service._reading.reload()
        assert (answer.taken, bool(answer.problems), node.view.loaded.digest) == (False, True, before)
        example.file.write_text(good + "\n# changed\n")
        answer = service._reading.look()
        assert answer is not None
        assert (answer.taken, answer.digest, list(answer.closed)) == (True, node.view.loaded.digest, [])
        assert node.view.loaded.digest != before


@on_loop
async def test_change_without_an_event_is_read_after_two_equal_checks(example: Organisation) -> None:
    told = Told()
    async with service_here(example, told, FE1) as (service, node):
        before = node.view.loaded.digest
        service._reading._notices.close()
        example.file.write_text(example.file.read_text() + "\n# changed\n")
        service._reading.look_again()
        service._reading.look_again()
        await until(lambda: node.view.loaded.digest != before)


@on_loop
async def test_refused_certificate_is_in_the_result(example: Organisation) -> None:
    async with service_here(example, Told(), FE1) as (service, _):
        example.credentials(FE1)[0].write_bytes(b"nothing")
        answer = service._reading.reload()
        assert answer.taken
        assert FE1 in answer.kept[0]
        again = service._reading.look()
        assert again.kept == answer.kept, "no file has changed, and it is still not in use"


@on_loop
async def test_version_is_put_in_force_with_its_crls(example: Organisation) -> None:
    async with service_here(example, Told(), FE1) as (service, node):
        loaded = example.load()
        assert service._reading.put_in_force(loaded) == []
        assert node.view.loaded is loaded
        await service._reading.prepared()
