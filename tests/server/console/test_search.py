"""The search of the console: each kind of thing is found by what people have of it."""

from __future__ import annotations

from pathlib import Path

import pytest
from yarl import URL

from sipmesh.storage.audit_act import AuditAct
from sipmesh.trust.evidence import LinkKind
from sipmesh.trust.x509.certificate import fingerprint
from support.console import Visitor, management_with_console
from support.managed import MGMT
from support.network import BEGAN, FE1
from support.recording import record
from support.running import on_loop


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


@pytest.mark.parametrize("text", ["alice", "BOB@example.test", "Call-ID-1", "fe1.example.test-1-1", "example.test"])
@on_loop
async def test_call_is_found_by_its_parties_its_call_id_and_its_record(tmp_path: Path, text: str) -> None:
    """A viewer may not read who calls whom, and the answer says so."""
    async with (
        management_with_console(tmp_path, recording=True) as network,
        Visitor(network, "otto-token") as operator,
        Visitor(network, "vera-token") as viewer,
        Visitor(network) as browser,
    ):
        await network.master.calls.in_store(lambda store: store.add([record(call_id="Call-ID-1")]))
        asked = URL("/api/v1/search").with_query(find=text)
        found = (await operator.get(asked)).json
        [call] = [one for one in found["results"] if one["kind"] == "call"]
        assert (call["name"], found["faults"]) == ("alice@example.test to bob@example.test", [])
        await browser.log_in("operator")
        page = await browser.get(URL(call["page"], encoded=True))
        assert (page.status, "Call-ID-1" in page.text or "bob@example.test" in page.text) == (200, True)
        refused = (await viewer.get(asked)).json
        assert [one for one in refused["results"] if one["kind"] == "call"] == []
        assert refused["left_out"].count("calls") == 1


@pytest.mark.parametrize("text", ["%", "_", "*", "'", '"', "\\", "<b>", "ff", "no such thing"])
@on_loop
async def test_text_that_nothing_has_finds_nothing(tmp_path: Path, text: str) -> None:
    async with management_with_console(tmp_path) as network, Visitor(network, "vera-token") as viewer:
        found = (await viewer.get(URL("/api/v1/search").with_query(find=text))).json
        assert [one for one in found["results"] if one["kind"] != "audit"] == []


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
