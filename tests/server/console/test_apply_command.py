"""A plan is applied in one request: issued, published and verified by real links; what fails is taken back."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from sipmesh.demo.ports import HOST
from support.console import Answer, Visitor, management_with_console
from support.managed import MGMT, Managed, servers_of, without
from support.model_ports import model_port
from support.network import EDGE, EDGES, FE1, FE2, POOL
from support.running import on_loop


@asynccontextmanager
async def running(folder: Path) -> AsyncIterator[Managed]:
    """Management with a console, a front end and an edge that have version 2 in force."""
    async with management_with_console(folder) as network:
        await network.start(FE1, EDGE)
        await network.publish(without(FE2), force=True)
        await network.acknowledged(2, FE1, EDGE)
        yield network


async def apply(visitor: Visitor, **further: Any) -> Answer:
    """Apply the draft as the plan has it now."""
    answer = await visitor.get("/api/v1/plan")
    assert answer.status == 200, answer.text
    plan = answer.json
    given = {"why": "a change", "base": plan["base"], "digest": plan["digest"], **further}
    return await visitor.ask("POST", "/api/v1/apply", json=given)


def links_of(report: Any) -> dict[tuple[str, str], bool]:
    checks = [(one["check"], one["passed"]) for one in report["checks"]]
    return {(check["opener"], check["target"].partition(":")[0]): passed for check, passed in checks}


@on_loop
@pytest.mark.wide
async def test_plan_has_what_the_command_prints_and_a_stranger_does_not_see_it(tmp_path: Path) -> None:
    async with (
        management_with_console(tmp_path) as network,
        Visitor(network, "vera-token") as viewer,
        Visitor(network, "false-token") as stranger,
    ):
        network.edit(without(FE2))
        network.edit(lambda document: document["sip_domains"].append("sip.example.test"))
        plan = (await viewer.get("/api/v1/plan")).json
        assert plan == json.loads(await asyncio.to_thread(printed, network.organisation.file))
        assert (plan["draft"], plan["base"], plan["revoked"]) == ("topology.yaml", 1, [FE2])
        assert {"opener": FE2, "server": EDGE, "kind": "server"} in plan["links_die"]
        assert FE1 in [need["server"] for need in plan["certificates"]]
        assert "sip.example.test" in [record["name"] for record in plan["dns_needed"]]
        assert FE2 in [record["name"] for record in plan["dns_unused"]]
        assert (await stranger.get("/api/v1/plan")).status == 401


def printed(file: Path) -> str:
    """Return what `sipmesh topology plan --json` prints."""
    command = [sys.executable, "-m", "sipmesh", "topology", "plan", "--json", "--topology", str(file)]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout


@on_loop
@pytest.mark.wide
async def test_change_is_published_and_verified_by_the_servers_and_a_viewer_cannot(tmp_path: Path) -> None:
    async with (
        running(tmp_path) as network,
        Visitor(network, "vera-token") as viewer,
        Visitor(network, "otto-token") as operator,
    ):
        network.edit(lambda document: document.update(sites=["berlin"]))
        network.edit(lambda document: servers_of(document, EDGES)[0].update(site="berlin"))
        assert ((await apply(viewer)).status, network.number(MGMT)) == (403, 2)
        stale = await apply(operator, digest="0" * 64)
        assert (stale.status, "changed since the plan was read" in stale.json["error"]) == (409, True)
        done = await apply(operator)
        assert done.status == 200, done.text
        report = done.json
        assert (report["base"], report["version"], report["rolled_back"], report["faults"]) == (2, 3, 0, [])
        assert links_of(report) == {(FE1, EDGE): True, (EDGE, FE1): True}


@on_loop
@pytest.mark.wide
async def test_link_that_has_stopped_working_takes_the_version_back(tmp_path: Path) -> None:
    """The edge has an address in the draft without a server; without a rollback the version stays."""
    async with running(tmp_path) as network, Visitor(network, "otto-token") as operator:
        network.edit(lambda document: servers_of(document, EDGES)[0].update(address="127.0.0.9", bind=HOST))
        report = (await apply(operator)).json
        assert (report["version"], report["rolled_back"], network.number(MGMT)) == (3, 4, 4)
        assert report["faults"][0].startswith(f"{FE1} → {EDGE}:")
        await network.acknowledged(4, FE1, EDGE)
        kept = (await apply(operator, rolls_back=False)).json
        assert (kept["version"], kept["rolled_back"], network.number(MGMT)) == (5, 0, 5)
        assert kept["faults"]
        why = [one["why"] for one in (await operator.get("/api/v1/versions")).json]
        assert why[3] == "version 3 (a change) has failed its verification"


@on_loop
@pytest.mark.wide
async def test_server_that_is_stopped_is_named_and_does_not_take_the_version_back(tmp_path: Path) -> None:
    """The API names it in `unreached`, and the page in a sentence. FE2 has never been started."""
    async with (
        management_with_console(tmp_path) as network,
        Visitor(network, "otto-token") as operator,
        Visitor(network) as reader,
    ):
        await network.start(FE1, EDGE)
        await network.acknowledged(1, FE1, EDGE)
        network.edit(lambda document: document.update(sites=["berlin"]))
        network.edit(lambda document: servers_of(document, EDGES)[0].update(site="berlin"))
        report = (await apply(operator, wait_s=2)).json
        assert (report["version"], report["rolled_back"], report["faults"]) == (2, 0, [])
        assert report["unreached"] == [FE2]
        assert links_of(report) == {(FE1, EDGE): True, (EDGE, FE1): True}
        await reader.log_in("operator")
        network.edit(lambda document: document.update(dane=True))
        plan = await network.ask(MGMT, "plan")
        form = {"why": "TLSA", "base": str(plan["base"]), "digest": plan["digest"], "wait_s": "2"}
        page = (await reader.post("/apply", **form)).text
        assert f"its verification has passed. Management had no contact with {FE2}," in page


@on_loop
@pytest.mark.wide
async def test_plan_that_issues_certificates_needs_a_security_officer(tmp_path: Path) -> None:
    async with (
        running(tmp_path) as network,
        Visitor(network, "otto-token") as operator,
        Visitor(network, "sona-token") as officer,
    ):
        certificate = network.organisation.credentials(FE1)[0]
        before = certificate.read_bytes()
        entry = {"name": "fe9.example.test", "address": HOST, "ports": {"client": model_port(), "server": model_port()}}
        network.edit(lambda document: servers_of(document, POOL).append(entry))
        refused = await apply(operator)
        assert (refused.status, "issues certificates for fe9" in refused.json["error"]) == (403, True), refused.text
        network.edit(lambda document: servers_of(document, POOL).remove(entry))
        network.edit(lambda document: document["sip_domains"].append("sip.example.test"))
        refused = await apply(operator)
        assert (refused.status, "may assert users of sip" in refused.json["error"]) == (409, True), refused.text
        assert (network.number(MGMT), certificate.read_bytes()) == (2, before)
        done = await apply(officer)
        assert done.status == 200, done.text
        assert (done.json["version"], done.json["rolled_back"], FE1 in done.json["issued"]) == (3, 0, True), done.text
        assert certificate.read_bytes() != before
        lines = (await officer.get("/api/v1/audit")).json["lines"]
        assert {line["who"] for line in lines if line["act"] in {"issue", "publish"}} >= {"sona (API)"}


@on_loop
@pytest.mark.wide
async def test_draft_that_breaks_something_needs_force_and_so_a_security_officer(tmp_path: Path) -> None:
    async with (
        running(tmp_path) as network,
        Visitor(network, "otto-token") as operator,
        Visitor(network, "sona-token") as officer,
    ):
        network.edit(lambda document: document.update(sip_domains=["other.test"]))
        refused = await apply(officer)
        assert (refused.status, "would break something" in refused.json["error"]) == (409, True), refused.text
        assert ((await apply(operator, force=True)).status, network.number(MGMT)) == (403, 2)
        assert ((await apply(officer, force=True)).status, network.number(MGMT)) == (200, 3)
