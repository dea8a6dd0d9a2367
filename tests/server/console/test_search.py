"""The search of the console: each kind of thing is found by what people have of it."""

from __future__ import annotations

import asyncio
import json
import ssl
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from yarl import URL

from cli import world
from sipmesh.demo.ports import HOST
from sipmesh.server.console.access.secret_table import hash_of
from sipmesh.storage.audit_act import AuditAct
from sipmesh.trust.evidence import LinkKind
from sipmesh.trust.x509.certificate import fingerprint
from support.console import Visitor, management_with_console
from support.managed import MGMT
from support.network import BEGAN, FE1
from support.recording import record
from support.running import on_loop
from support.shown_faults import TOKEN, console_entry

OPERATOR = "operator-token"


@on_loop
async def test_each_thing_is_found_by_its_name_or_number_and_has_a_page(tmp_path: Path) -> None:
    async with (
        management_with_console(tmp_path) as network,
        Visitor(network, "otto-token") as operator,
        Visitor(network) as viewer,
    ):
        await viewer.log_in("viewer")
        await operator.ask("POST", "/api/v1/user/alias/add", json={"user": "alice", "alias": "+4930123"})
        await operator.ask("POST", "/api/v1/block", json={"name": "evil.test"})
        network.master.management_db.audit.append("ada", AuditAct.LIST, {"file": "Odd%_file.crl"}, at=BEGAN)
        leaf = network.nodes[MGMT].certificates.presented.of(LinkKind.SERVER).chain[0]
        colons = ":".join(f"{leaf.serial_number:040x}"[at : at + 2] for at in range(0, 40, 2))
        for text, kind, name in (
            ("ALICE", "user", "alice@example.test"),
            ("+49 30 / 123", "user", "alice@example.test"),
            ("fe1", "server", FE1),
            ("evil", "partner", "evil.test"),
            (f"{leaf.serial_number:x}", "certificate", MGMT),
            (colons.upper(), "certificate", MGMT),
            (fingerprint(leaf)[:12], "certificate", MGMT),
            ("odd%_file", "audit", "line"),
        ):
            asked = URL("/api/v1/search").with_query(find=text)
            found = (await operator.get(asked)).json
            best = next(one for one in found["results"] if one["kind"] == kind)
            assert best["name"].startswith(name), text
            page = await viewer.get(URL(best["page"], encoded=True))
            assert (page.status, found["faults"]) == (200, []), best
            assert best["name"] in (await viewer.get(URL("/search").with_query(q=text))).text


@on_loop
async def test_call_is_found_by_its_parties_its_call_id_and_its_record(tmp_path: Path) -> None:
    """A viewer may not read who calls whom, and the answer says so."""
    async with (
        management_with_console(tmp_path, recording=True) as network,
        Visitor(network, "otto-token") as operator,
        Visitor(network, "vera-token") as viewer,
        Visitor(network) as browser,
    ):
        await network.master.calls.in_store(lambda store: store.add([record(call_id="Call-ID-1")]))
        await browser.log_in("operator")
        for text in ("alice", "BOB@example.test", "Call-ID-1", "fe1.example.test-1-1", "example.test"):
            asked = URL("/api/v1/search").with_query(find=text)
            found = (await operator.get(asked)).json
            [call] = [one for one in found["results"] if one["kind"] == "call"]
            assert (text, call["name"], found["faults"]) == (text, "alice@example.test to bob@example.test", [])
            page = await browser.get(URL(call["page"], encoded=True))
            assert (page.status, "Call-ID-1" in page.text or "bob@example.test" in page.text) == (200, True)
            refused = (await viewer.get(asked)).json
            assert [one for one in refused["results"] if one["kind"] == "call"] == []
            assert refused["left_out"].count("calls") == 1
        unseen = URL("/api/v1/search").with_query(find="never-seen")
        assert (await operator.get(unseen)).json["results"] == []  # not its own line in the audit log


@on_loop
async def test_refusal_of_a_server_elsewhere_is_found_by_its_reference(tmp_path: Path) -> None:
    """No server runs on the machine of management but management: only the records have it. A viewer may not read them."""
    async with (
        management_with_console(tmp_path, recording=True) as network,
        Visitor(network, "otto-token") as operator,
        Visitor(network, "vera-token") as viewer,
        Visitor(network) as browser,
    ):
        refused = record(status=488, why="in the clear", code="media-not-encrypted", reference="c8-1", refused_by=FE1)
        await network.master.calls.in_store(lambda store: store.add([refused, record(id="other")]))
        await browser.log_in("operator")
        for typed in ("c8-1", " C8-1 "):
            found = (await operator.get(URL("/api/v1/search").with_query(find=typed))).json
            [call] = [one for one in found["results"] if one["kind"] == "call"]
            assert call["what"] == f"2026-11-30 13:05:00Z, 488 in the clear, reference c8-1 of {FE1}"
            [fault] = found["faults"]
            assert fault.startswith("calls: the newest records of ")
            assert FE1 in fault
        page = (await browser.get(URL(call["page"], encoded=True))).text
        assert "media-not-encrypted" in page
        assert FE1 in page
        assert "Note: the newest records of" in page
        refusal = (await viewer.get(URL("/api/v1/search").with_query(find="c8-1"))).json
        assert {one["kind"] for one in refusal["results"]} <= {"audit"}  # that the operator has asked
        assert refusal["faults"] == []
        assert {"calls", "references of refused messages"} <= set(refusal["left_out"])


@on_loop
async def test_search_for_a_reference_says_that_no_records_are_made(tmp_path: Path) -> None:
    async with management_with_console(tmp_path) as network, Visitor(network, "otto-token") as operator:
        for typed, is_told in (("c8-1", True), ("c8-", False), ("alice", False)):
            found = (await operator.get(URL("/api/v1/search").with_query(find=typed))).json
            told = any("no records of calls are made" in fault for fault in found["faults"])
            assert (typed, told) == (typed, is_told)


@on_loop
async def test_replaced_and_revoked_certificates_are_found_by_serial_number_and_fingerprint(tmp_path: Path) -> None:
    """They are in use nowhere, and expire nowhere: the ledger of the CA has them."""
    async with (
        management_with_console(tmp_path) as network,
        Visitor(network, "sona-token") as officer,
        Visitor(network, "vera-token") as viewer,
        Visitor(network) as browser,
    ):
        await browser.log_in("viewer")
        old = network.nodes[MGMT].certificates.presented.of(LinkKind.SERVER).chain[0]
        issued = [(await officer.ask("POST", "/api/v1/issue", json={"server": MGMT})).json for _ in range(2)]
        serial = f"{old.serial_number:x}"
        assert (await officer.ask("POST", "/api/v1/revoke", json={"serial": serial})).status == 200
        for text, state, number in (
            (serial, "revoked", serial),
            (fingerprint(old), "revoked", serial),
            (fingerprint(old)[:8].upper(), "revoked", serial),
            (issued[0]["serial"], "valid", issued[0]["serial"]),
        ):
            found = (await viewer.get(URL("/api/v1/search").with_query(find=text))).json["results"]
            (one,) = [one for one in found if one["page"].startswith("/certificates/issued")]
            assert (one["name"], state in one["what"], number in one["what"]) == (MGMT, True, True)
            page = await browser.get(URL(one["page"], encoded=True))
            assert (page.status, number in page.text, state in page.text) == (200, True, True)
        listed = (await viewer.get(URL("/api/v1/certificates/issued").with_query(find="MGMT.example"))).json
        assert {one["serial"] for one in listed["certificates"]} >= {serial, *(one["serial"] for one in issued)}
        assert not (await viewer.get(URL("/api/v1/certificates/issued").with_query(find="nobody"))).json["certificates"]


@on_loop
async def test_text_that_nothing_has_finds_nothing(tmp_path: Path) -> None:
    async with management_with_console(tmp_path) as network, Visitor(network, "vera-token") as viewer:
        for text in ("%", "_", "*", "'", '"', "\\", "<b>", "ff", "no such thing"):
            found = (await viewer.get(URL("/api/v1/search").with_query(find=text))).json
            assert (text, [one for one in found["results"] if one["kind"] != "audit"]) == (text, [])


@on_loop
async def test_search_has_bounds_and_needs_a_login(tmp_path: Path) -> None:
    async with (
        management_with_console(tmp_path) as network,
        Visitor(network, "vera-token") as viewer,
        Visitor(network) as stranger,
    ):
        for text in ("", "x" * 321, "a\0b"):
            assert (await viewer.get(URL("/api/v1/search").with_query(find=text))).status == 400
        assert (await stranger.get("/api/v1/search?find=alice")).status == 401
        assert (await stranger.get("/search?q=alice")).status == 303


async def found_in(
    organisation: world.Organisation, console: str, text: str, token: str = OPERATOR
) -> list[dict[str, Any]]:
    """Search for refusals by the API of a console, as a program does."""
    context = ssl.create_default_context(cafile=str(organisation.root))
    headers = {"Host": console.replace(HOST, world.MGMT), "Authorization": f"Bearer {token}"}
    url = URL(f"https://{console}/api/v1/search").with_query(find=text)
    async with (
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=context)) as program,
        program.get(url, headers=headers, server_hostname=world.MGMT) as answer,
    ):
        found: dict[str, Any] = await answer.json()
        assert ("references of refused messages" in found["left_out"]) is (token != OPERATOR)
        return [one for one in found["results"] if one["kind"] == "refusal"]


@pytest.mark.wide
def test_refused_message_is_found_by_the_reference_that_its_sender_has_received(tmp_path: Path) -> None:
    """A front end has refused it, with a verdict code or without one; a part of a reference finds nothing."""
    organisation = world.Organisation.make(tmp_path / "o")
    entry = console_entry()
    entry["operators"].append({"name": "otto", "role": "operator", "token_sha256": hash_of(OPERATOR)})
    organisation.file.write_text(f"{organisation.file.read_text()}\nconsole: {json.dumps(entry)}\n")
    plan = organisation.type("topology", "plan").out.rpartition("--plan ")[2].strip()
    assert organisation.type("topology", "publish", "-m", "a console", "--plan", plan).code == 0
    organisation.add_user("alice")
    try:
        organisation.serve(world.FE1)
        for whom, why in (
            ("bob@elsewhere.test", "elsewhere.test is not a domain, server or partner of this network"),
            (f"bob@{world.DOMAIN}", f"bob@{world.DOMAIN} is not a user of this network"),
        ):
            (warning,) = organisation.acting("message", "alice", whom, "hello", "--json").json["warnings"]
            reference = warning.rpartition("reference ")[2].strip('"')
            for typed in (reference, f" {reference.upper()} "):
                (one,) = asyncio.run(found_in(organisation, entry["listen"], typed))
                assert (one["name"], one["page"]) == (reference, "/refused")
                assert one["what"].startswith(f"MESSAGE from sip:alice@{world.DOMAIN} got 404: "), one
                assert why in one["what"]
            assert asyncio.run(found_in(organisation, entry["listen"], reference[:-1])) == []
            assert asyncio.run(found_in(organisation, entry["listen"], reference, TOKEN)) == []  # a viewer may not
    finally:
        organisation.stop()
