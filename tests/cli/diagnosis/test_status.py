"""What `sipmesh status` shows of the reports of all servers."""

from __future__ import annotations

import json
from contextlib import nullcontext
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import typer

from sipmesh.cli.diagnosis.status import status
from sipmesh.cli.place import Place
from sipmesh.errors import OperatorError
from sipmesh.server.management.replies import ManagerReply, MemberReply, NetworkReply, PeerReply, ServerReply
from sipmesh.server.management.server_faults import Fault
from sipmesh.server.replication.server_status import CallerUse, PeerKind, ShownCertificate, TrunkUse
from sipmesh.trust.role import Role
from support.managed import MGMT, Managed
from support.network import EDGE, FE1, FE2
from support.prepared import answered

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
CUT_OFF = Fault("cut off: no report for 40 s", "start it: sipmesh serve NAME")


def member(name: str, **facts: Any) -> MemberReply:
    given = {"role": Role.FRONT_END, "number": 3, "faults": (), "linked": True, "why_not": "", "reached": True}
    return MemberReply(**{"server": name, "pool": "pool1.example.test", **given, **facts})


@pytest.fixture(name="place")
def _place(managed: Managed) -> Place:
    return Place(managed.organisation.file)


def shown(
    place: Place,
    *servers: MemberReply,
    as_json: bool = False,
    links: bool = False,
    managers: tuple[ManagerReply, ...] = (),
    peers: tuple[PeerReply, ...] = (),
) -> None:
    """Show the status of a network at version 3 with these managed servers."""
    master = ServerReply(server=MGMT, number=3, faults=())
    network = NetworkReply(3, NOON, master, servers, managers, peers)
    with answered(place.state, {MGMT: {"network": network}}):
        status(topology=place.file, as_json=as_json, links=links)


def row(printed: str, server: str) -> str:
    """The row of *server* in the table."""
    return next(line for line in printed.splitlines() if line.split()[:1] == [server])


def test_network_without_a_fault_is_shown_and_ends_with_0(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    expires = ShownCertificate(serial="0a", ends=NOON + timedelta(days=29), issuer="CN=issuing", under="CN=root")
    shown(place, member(FE1, certificate=expires, links={"client": 2, "server": 0, "partner": 1}), member(EDGE, by=FE1))
    printed = capsys.readouterr().out
    assert "3 of 3 servers without a fault." in printed
    assert "management pool" not in printed
    assert "2026-06-30 12:00Z (29 d)" in row(printed, FE1)
    assert "2 client, 1 partner" in row(printed, FE1)
    assert row(printed, EDGE).rstrip().endswith(f"good, reported by {FE1}")


def test_servers_of_a_management_pool_are_shown(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    managers = (ManagerReply(MGMT, 7, 3, 0.4), ManagerReply("mgmt2.example.test", 0, 3, 1.2))
    shown(place, member(FE1), managers=managers)
    printed = capsys.readouterr().out
    assert f"{MGMT} leads the management pool, with fencing number 7: version 3, last report 0 s ago." in printed
    assert "mgmt2.example.test follows: version 3, last report 1 s ago." in printed


def test_fault_of_several_servers_is_printed_once_and_ends_with_1(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(typer.Exit) as left:
        shown(place, member(FE1, faults=(CUT_OFF,)), member(FE2, faults=(CUT_OFF,)))
    printed = capsys.readouterr().out.splitlines()
    assert left.value.exit_code == 1
    assert printed[:2] == [f"✗ {FE1}, {FE2}: {CUT_OFF.what}", f"    → {CUT_OFF.remedy}"]
    assert printed[-1] == "1 of 3 servers without a fault."


def test_application_and_partner_with_a_fault_end_with_1(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    """The controls have no fault, and the exit code is 0."""
    names = (("bot.example.test", PeerKind.APPLICATION), ("partner.test", PeerKind.PARTNER))
    shown(place, member(FE1), peers=tuple(PeerReply(name, kind, ()) for name, kind in names))
    assert capsys.readouterr().out.splitlines()[-3:] == [
        "2 of 2 servers without a fault.",
        "1 of 1 application without a fault.",
        "1 of 1 partner without a fault.",
    ]
    for name, kind in names:
        with pytest.raises(typer.Exit) as left:
            shown(place, member(FE1), peers=(PeerReply(name, kind, (CUT_OFF,)),))
        printed = capsys.readouterr().out.splitlines()
        assert left.value.exit_code == 1
        assert printed[:2] == [f"✗ {name}: {CUT_OFF.what}", f"    → {CUT_OFF.remedy}"]
        assert printed[-2:] == ["2 of 2 servers without a fault.", f"0 of 1 {kind} without a fault."]


def test_servers_with_a_fault_are_shown_first(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(typer.Exit):
        shown(place, member(FE1), member(FE2, faults=(Fault("behind"),)))
    servers = [line.split()[0] for line in capsys.readouterr().out.splitlines() if "example.test " in line]
    assert servers[-3:] == [FE2, MGMT, FE1]


@pytest.mark.parametrize(("number", "told"), [(None, "?"), (3, "3"), (1, "1 (2 behind)"), (4, "4 (1 ahead)")])
def test_version_of_a_server_is_compared_with_the_newest(
    place: Place, capsys: pytest.CaptureFixture[str], number: int | None, told: str
) -> None:
    shown(place, member(FE1, number=number))
    assert f" {told} " in row(capsys.readouterr().out, FE1)


@pytest.mark.parametrize(
    ("facts", "told"),
    [
        ({"refuses_from": NOON + timedelta(hours=5), "refuses_because": "x"}, "2026-06-01 17:00Z (5 h)"),
        ({"refuses_because": "no CRL of the root"}, "no CRL of the root"),
    ],
)
def test_end_of_offline_work_is_a_time_or_a_reason(
    place: Place, capsys: pytest.CaptureFixture[str], facts: dict[str, Any], told: str
) -> None:
    shown(place, member(FE1, **facts))
    assert told in row(capsys.readouterr().out, FE1)


@pytest.mark.parametrize("links", [True, False])
def test_refusals_are_shown_on_request(place: Place, capsys: pytest.CaptureFixture[str], *, links: bool) -> None:
    shown(place, member(FE1, refused=("expired: x.example.test",)), member(FE2), links=links)
    printed = capsys.readouterr().out
    assert (f"{FE1} refused recently:\n  expired: x.example.test\n" in printed) is links
    assert f"{FE2} refused" not in printed


def test_use_of_trunks_and_users_near_a_bound_are_shown(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    trunks = (TrunkUse(trunk="sbc.provider.test", calls=7, minutes=411), TrunkUse(trunk="b.test", calls=1, fails=True))
    caller = CallerUse(user="alice@example.test", calls=2, minutes=60, most_minutes=100)
    shown(place, member(FE1, trunks=trunks, callers=(caller,)))
    said = " ".join(capsys.readouterr().out.split())
    assert "trunk sbc.provider.test has 7 calls, 411 minutes of our users in 24 hours." in said
    assert "trunk b.test has 1 call, 0 minutes of our users in 24 hours, and fails." in said
    assert "alice@example.test has used 60 of 100 minutes in 24 hours." in said


@pytest.mark.parametrize("faults", [(), (CUT_OFF,)])
def test_json_says_whether_all_is_in_order(
    place: Place, capsys: pytest.CaptureFixture[str], faults: tuple[Fault, ...]
) -> None:
    with pytest.raises(typer.Exit) if faults else nullcontext():
        shown(place, member(FE1, faults=faults), as_json=True)
    printed = json.loads(capsys.readouterr().out)
    assert (printed["ok"], printed["version"], printed["servers"][0]["server"]) == (not faults, 3, FE1)


def test_without_management_the_command_says_what_to_start(place: Place) -> None:
    with pytest.raises(OperatorError, match=f"start it: sipmesh serve {MGMT}"):
        status(topology=place.file)
