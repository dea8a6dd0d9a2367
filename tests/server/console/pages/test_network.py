"""The pages about the network: the map, one server, and one version."""

from __future__ import annotations

import re
from pathlib import Path

from support.console import Visitor, management_with_console
from support.managed import MGMT, without
from support.network import EDGES, FE1, FE2, POOL
from support.running import on_loop


@on_loop
async def test_page_of_a_server_shows_it_and_only_its_own_console_has_the_live_links(tmp_path: Path) -> None:
    async with management_with_console(tmp_path) as network, Visitor(network) as viewer:
        await network.start(FE1)
        await network.acknowledged(1)
        await viewer.log_in("viewer")
        assert "Live links of this server" in (await viewer.get(f"/servers/{MGMT}")).text
        front_end = (await viewer.get(f"/servers/{FE1}")).text
        assert ("Version in force" in front_end, "Live links of this server" in front_end) == (True, False)
        assert "sip_domains" in (await viewer.get("/versions/1")).text


@on_loop
async def test_each_page_about_the_network_is_shown(tmp_path: Path) -> None:
    async with management_with_console(tmp_path) as network, Visitor(network) as viewer:
        await viewer.log_in("viewer")
        for path, status, told in (
            ("/map", 200, "The same as a list"),
            ("/status", 200, FE1),
            ("/versions", 200, "The draft changes nothing"),
            ("/certificates", 200, MGMT),
            ("/partners", 200, "none"),
            ("/refused", 200, f"By {MGMT}"),
            ("/servers/evil.test", 404, "is not a server of the topology"),
            (f"/links/{MGMT}/none", 409, "has no live link"),
            (f"/links/{MGMT}/to/{FE1}", 200, f"{MGMT} and {FE1}"),
        ):
            shown = await viewer.get(path)
            assert (shown.status, told in shown.text) == (status, True), path
        network.organisation.file.write_text("sipmesh: 1\n")
        for path in ("/", "/map", "/versions"):
            assert (await viewer.get(path)).status == 200


@on_loop
async def test_page_of_versions_says_what_the_draft_leads_to(tmp_path: Path) -> None:
    async with management_with_console(tmp_path) as network, Visitor(network) as viewer:
        await viewer.log_in("viewer")
        network.edit(without(FE2))
        network.edit(lambda document: document["sip_domains"].append("sip.example.test"))
        shown = (await viewer.get("/versions")).text
        for title, line in (
            ("Links that it forbids", f"{POOL} → {EDGES}: 1 server link"),
            ("Certificates:", f"{FE1} its certificate lacks sip.example.test"),
            ("DNS records that must exist", "_sips._tcp.sip.example.test."),
            ("DNS records that have no use any more", f"{FE2}. A"),
            ("Revoked at once and permanently", FE2),
        ):
            assert title in shown
            assert line in shown.partition(title)[2].partition("</ul>")[0], line
        assert "From a restart only" not in shown
        assert "1 of 4 servers have version 1 in force." in shown


@on_loop
async def test_link_of_the_map_leads_to_its_findings(tmp_path: Path) -> None:
    async with management_with_console(tmp_path) as network, Visitor(network) as viewer:
        await network.start(FE1)
        await network.acknowledged(1, FE1)
        await viewer.log_in("viewer")
        drawn = (await viewer.get("/map")).text
        assert f'href="/links/{FE1}/to/{MGMT}"' in drawn
        between = (await viewer.get(f"/links/{FE1}/to/{MGMT}")).text
        link = re.search(rf'href="(/links/{MGMT}/[^"/]+)">explain', between)
        assert link is not None, between
        assert "accepted" in (await viewer.get(link[1])).text


@on_loop
async def test_server_of_the_draft_has_a_page_that_leads_to_the_draft(tmp_path: Path) -> None:
    async with (
        management_with_console(tmp_path) as network,
        Visitor(network) as viewer,
        Visitor(network, "otto-token") as operator,
    ):
        await viewer.log_in("viewer")
        given = {"name": "new.example.test", "pool": POOL, "address": "127.0.0.1"}
        added = await operator.ask("POST", "/api/v1/draft/add-server", json=given)
        assert added.status == 200, added.text
        assert 'href="/servers/new.example.test"' in (await viewer.get("/map")).text
        shown = await viewer.get("/servers/new.example.test")
        assert (shown.status, 'href="/versions"' in shown.text, "is in the draft" in shown.text) == (200, True, True)
