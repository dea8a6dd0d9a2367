"""What is probed after a publication, and what counts as broken."""

from __future__ import annotations

import pytest

from cli.world import Organisation
from sipmesh.cli.management_socket import running_management
from sipmesh.cli.place import Place as Cli
from sipmesh.cli.topology.planning.verification import run_checks, say_checks, say_left_out
from sipmesh.server.management.publishing.link_checks import (
    MOST_CHECKS,
    Check,
    checks_for,
)
from sipmesh.server.management.replies import ProbedReply
from sipmesh.topology.builder.link_changes import link_changes
from sipmesh.topology.document.load import Loaded, load
from support.prepared import answered

MGMT, FE1, FE2, EDGE = "mgmt.example.com", "fe1.example.com", "fe2.example.com", "edge1.example.com"


def grown(organisation: Organisation) -> tuple[Loaded, Loaded]:
    """The organisation before and after it gets an edge, whose certificate is here."""
    before = load(organisation.file)
    assert organisation.type("topology", "add", "pool", "--role", "edge", "--address", "127.0.0.1").code == 0
    assert organisation.type("ca", "issue", EDGE).code == 0
    return before, load(organisation.file)


def test_links_that_appear_are_probed_from_the_servers_that_open_them(organisation: Organisation) -> None:
    before, after = grown(organisation)
    appear = link_changes(before, after).appear
    checks = checks_for(after, appear, ())
    port = {server.name: server.server_port for pool in after.topology.pools for server in pool.servers}
    assert checks == [Check(EDGE, f"{FE1}:{port[FE1]}"), Check(FE1, f"{EDGE}:{port[EDGE]}")]
    (organisation.folder / "servers" / f"{FE1}.key").unlink()
    assert checks_for(after, appear, ()) == checks
    organisation.publish("an edge")
    assert [checked.check.opener for checked in run_checks(Cli(organisation.file), checks, None)] == [EDGE]


def test_management_is_asked_for_links_from_other_machines(organisation: Organisation) -> None:
    """What management has no result for has failed."""
    (organisation.folder / "servers" / f"{FE1}.key").unlink()
    works, fails, open_ = (Check(FE1, f"{name}:5062") for name in (EDGE, FE2, MGMT))
    replies = [ProbedReply(FE1, EDGE, True, "accepted"), ProbedReply(FE1, FE2, False, "refused")]  # noqa: FBT003
    with answered(organisation.folder / "state", {MGMT: {"probe": replies}}) as asked:
        socket = running_management(Cli(organisation.file))
        checked = {
            one.check: (one.passed, one.told)
            for one in run_checks(Cli(organisation.file), [works, fails, open_], socket)
        }
    assert checked == {works: (True, "accepted"), fails: (False, "refused"), open_: (False, "management has no result")}
    assert asked[-1]["links"] == {FE1: [EDGE, FE2, MGMT]}


def test_every_link_of_this_machine_is_probed_on_demand(organisation: Organisation) -> None:
    """Nothing runs here, so nothing answers."""
    verified = organisation.type("topology", "verify", "--json")
    assert verified.code == 1
    assert {result["passed"] for result in verified.json} == {False}
    assert {result["check"]["opener"] for result in verified.json} == {"", MGMT}
    assert "✗ a phone → fe1.example.com" in organisation.type("topology", "verify").out


def test_links_beyond_the_limit_are_counted(capsys: pytest.CaptureFixture[str]) -> None:
    say_left_out(MOST_CHECKS)
    assert capsys.readouterr().out == ""
    say_left_out(MOST_CHECKS + 2)
    assert capsys.readouterr().out.startswith("2 further links are not probed")
    say_checks([])
    assert "No link can be probed" in capsys.readouterr().out
