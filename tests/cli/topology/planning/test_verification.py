"""What is probed after a publication, and what counts as broken."""

from __future__ import annotations

from pathlib import Path

import pytest

from cli.world import Organisation
from sipmesh.cli.place import Place as Cli
from sipmesh.cli.topology.planning.verification import run_checks, say_checks, say_left_out
from sipmesh.cli.topology.publish import running_management
from sipmesh.server.management.publishing.link_checks import (
    MOST_CHECKS,
    Check,
    Checked,
    broken,
    checks_for,
    touched_by,
    worse_reports,
)
from sipmesh.server.management.replies import MemberReply, ProbedReply
from sipmesh.topology.builder.link_changes import AllowedLink, link_changes
from sipmesh.topology.document.load import Loaded, load
from sipmesh.trust.evidence import LinkKind
from sipmesh.trust.role import Role
from support.prepared import answered
from topology.world import TOPOLOGY, Place, make_authorities

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


def test_touched_front_end_is_probed_as_a_phone_does(organisation: Organisation) -> None:
    organisation.type("topology", "add", "domain", "example.net")
    after = load(organisation.file)
    client = f"{FE1}:{organisation.ports[f'{FE1} client']}"
    phones = [check for check in checks_for(after, (), [FE1]) if not check.opener]
    assert phones == [Check("", client, "example.com"), Check("", client, "example.net")]
    assert str(phones[0]) == f"a phone → {client} as example.com"
    assert checks_for(after, (), ()) == []


def test_only_servers_that_a_change_concerns_are_touched(organisation: Organisation) -> None:
    before, after = grown(organisation)
    appear = link_changes(before, after).appear
    assert touched_by(before, before, [FE1], ()) == {FE1}
    assert touched_by(before, after, (), appear) == {FE1, EDGE}
    organisation.type("topology", "change", "network", "authority.grace=1")
    assert touched_by(after, load(organisation.file), (), ()) == {MGMT, FE1, EDGE}


def test_server_whose_address_changes_is_touched(organisation: Organisation) -> None:
    _, after = grown(organisation)
    organisation.type("topology", "change", EDGE, "address=127.0.0.2")
    assert touched_by(after, load(organisation.file), (), ()) == {EDGE}


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


def test_link_that_failed_before_is_not_broken_by_the_change() -> None:
    one, two, three = (Check(FE1, f"{name}:5062") for name in (FE2, EDGE, MGMT))
    before = [Checked(one, passed=False, told="refused"), Checked(two, passed=True, told="200")]
    after = [Checked(check, passed=False, told="refused") for check in (one, two, three)]
    assert [checked.check for checked in broken(before, after)] == [two, three]
    assert broken(before, before) == []


def member(server: str, error: str = "", *unanswered: str) -> MemberReply:
    return MemberReply(
        server=server,
        role=Role.FRONT_END,
        pool="pool1.example.com",
        faults=(),
        linked=True,
        why_not="",
        reached=True,
        error=error,
        unanswered=unanswered,
    )


def test_report_counts_where_it_is_worse_than_before() -> None:
    before = [member(FE1, "", FE2), member(EDGE, "old")]
    assert worse_reports(before, before) == []
    assert worse_reports(before, [member(FE1, "", FE2, EDGE), member(EDGE, "new"), member(FE2, "bad")]) == [
        f"{FE1} gets no answer from {EDGE}",
        f"{EDGE} reports: new",
        f"{FE2} reports: bad",
    ]


def test_every_link_of_this_machine_is_probed_on_demand(organisation: Organisation) -> None:
    """Nothing runs here, so nothing answers."""
    verified = organisation.type("topology", "verify", "--json")
    assert verified.code == 1
    assert {result["passed"] for result in verified.json} == {False}
    assert {result["check"]["opener"] for result in verified.json} == {"", MGMT}
    assert "✗ a phone → fe1.example.com" in organisation.type("topology", "verify").out


@pytest.fixture(name="place")
def _place(tmp_path: Path) -> Place:
    """A topology with two partners, and the key of no server."""
    place = Place(make_authorities(tmp_path) / "topology.yaml")
    place.file.write_text(TOPOLOGY)
    return place


def test_partners_are_probed_from_an_edge_that_changes(place: Place) -> None:
    loaded = place.load()
    checks = checks_for(loaded, (), ["edge1.example.test"])
    targets = [check.target for check in checks if check.opener == "edge1.example.test"]
    openers = {check.opener for check in checks if check.target_name == "edge1.example.test"}
    assert openers == {"fe1.example.test", "fe2.example.test", "fe3.example.test"}
    assert targets[:2] == ["fe1.example.test:5062", "fe2.example.test:5062"]
    assert targets[2:] == ["other.test", "sip.partner.test"]
    appear = [AllowedLink("other.test", "edge1.example.test", LinkKind.PARTNER)]
    assert [check.target for check in checks_for(loaded, appear, ())] == ["other.test"]


def test_links_beyond_the_limit_are_counted(capsys: pytest.CaptureFixture[str]) -> None:
    say_left_out(MOST_CHECKS)
    assert capsys.readouterr().out == ""
    say_left_out(MOST_CHECKS + 2)
    assert capsys.readouterr().out.startswith("2 further links are not probed")
    say_checks([])
    assert "No link can be probed" in capsys.readouterr().out
