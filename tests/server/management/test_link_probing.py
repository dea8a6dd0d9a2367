"""Management has servers probe their links: it waits for the results, and says why one is missing."""

from __future__ import annotations

from typing import Any

import pytest

from sipmesh.demo.nameserver import NameServer
from sipmesh.demo.ports import HOST
from support.managed import MGMT, Managed
from support.network import EDGE, FE1, FE2
from support.publisher import Publisher, content
from support.running import on_loop


async def probed(network: Managed, wait_s: float = 30, **links: list[str]) -> dict[tuple[str, str], tuple[bool, str]]:
    """Have links probed; *links* are the targets by the first label of the opener."""
    wanted: dict[str, Any] = {f"{name}.example.test": targets for name, targets in links.items()}
    replies = await network.ask(MGMT, "probe", links=wanted, wait_s=wait_s)
    return {(reply["server"], reply["target"]): (reply["passed"], reply["told"]) for reply in replies}


@on_loop
@pytest.mark.wide
async def test_front_end_and_edge_probe_their_own_links(managed: Managed) -> None:
    """The order for the edge is passed on by the front end, and its result comes back with its report."""
    async with managed:
        await managed.start(MGMT, FE1, EDGE)
        await managed.acknowledged(1, FE1, EDGE)
        found = await probed(managed, fe1=[EDGE, FE2], edge1=[FE1])
        assert found[FE1, EDGE] == (True, f"accepted: {EDGE}")
        assert found[EDGE, FE1] == (True, f"accepted: {FE1}")
        assert not found[FE1, FE2][0]
        again = await probed(managed, fe1=[EDGE])
        assert again == {(FE1, EDGE): (True, f"accepted: {EDGE}")}


@on_loop
async def test_server_that_cannot_be_asked_has_failed(managed: Managed) -> None:
    async with managed:
        await managed.start(MGMT, FE1)
        await managed.acknowledged(1, FE1)
        found = await probed(managed, fe2=[FE1], fe1=["evil.test"], wait_s=0.2)
        assert found[FE2, FE1] == (False, f"{FE2} has not reported that version 1 is in force")
        assert found[FE1, "evil.test"] == (False, f"{FE1} has not reported the probe within 0.2 s")


@on_loop
@pytest.mark.wide
async def test_servers_ask_dns_and_an_absent_server_is_named(managed: Managed) -> None:
    """An order to probe links asks DNS nothing."""
    server = await NameServer({(FE1, "A"): ["192.0.2.7"]}).start(HOST)
    async with managed:
        await managed.start(MGMT, FE1, EDGE)
        await managed.publish(lambda document: document.update(dns={"servers": [server.setting]}))
        await managed.acknowledged(2, FE1, EDGE)
        replies = {one["server"]: one for one in await managed.ask(MGMT, "dns", servers=[FE1, EDGE, FE2], wait_s=30)}
        for name in (FE1, EDGE):
            assert replies[name]["fault"] == ""
            data = {(one["name"], one["type"]): one.get("data") for one in replies[name]["answers"]}
            assert data[FE1, "A"] == ["192.0.2.7"]
            assert data[EDGE, "A"] is None
        assert replies[FE2]["fault"] == f"{FE2} has not reported that version 2 is in force"
        await probed(managed, fe1=[EDGE])
        report = managed.member(FE1).probes.report
        assert report is not None
        assert report.answers is None
    server.close()


@on_loop
@pytest.mark.wide
async def test_servers_fetch_the_crls_of_the_version_in_force(managed: Managed) -> None:
    """An order to probe links fetches nothing."""
    async with managed, Publisher() as publisher:
        publisher.pages["/root.crl"] = content((managed.organisation.folder / "ca/root.crl").read_bytes)
        urls = [publisher.url("/root.crl"), publisher.url("/gone.crl")]
        await managed.start(MGMT, FE1, EDGE)
        await managed.publish(lambda document: document["authority"]["crls"].extend(urls))
        await managed.acknowledged(2, FE1, EDGE)
        asked = await managed.ask(MGMT, "fetch-crls", servers=[FE1, EDGE, FE2], wait_s=30)
        replies = {one["server"]: one for one in asked}
        for name in (FE1, EDGE):
            assert replies[name]["fault"] == ""
            assert [(one["url"], one.get("fault")) for one in replies[name]["crls"]] == [
                (urls[0], None),
                (urls[1], "answers 404"),
            ]
        assert replies[FE2]["fault"] == f"{FE2} has not reported that version 2 is in force"
        await probed(managed, fe1=[EDGE])
        report = managed.member(FE1).probes.report
        assert report is not None
        assert report.crls is None
