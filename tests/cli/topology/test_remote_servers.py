"""What the operator reads about servers on other machines, after a change that management sends them."""

from __future__ import annotations

import os
from datetime import UTC, datetime

import pytest

from sipmesh.cli.place import Place
from sipmesh.cli.topology.remote_servers import note, say_given
from sipmesh.database.shared import has_management_db
from sipmesh.demo.organisation import Organisation
from sipmesh.errors import OperatorError
from sipmesh.server.control_socket import name_of
from sipmesh.server.management.replies import MemberReply, NetworkReply, ServerReply
from sipmesh.storage.audit_act import AuditAct
from sipmesh.storage.management_db import ManagementDb
from support.managed import MGMT, Managed
from support.network import BOT, EDGE, FE1, FE2, FE3, FE4
from support.prepared import Replies, answered

OTHERS = [BOT, EDGE, FE1, FE2, FE3, FE4]


@pytest.fixture(name="place")
def _place(managed: Managed) -> Place:
    return Place(managed.organisation.file)


def network(*reached: str) -> NetworkReply:
    """A network in which management reaches these servers only."""
    facts = {"number": 1, "faults": (), "pool": "p", "linked": True, "why_not": ""}
    members = [MemberReply(server=name, reached=name in reached, **facts) for name in OTHERS]  # type: ignore[arg-type]
    return NetworkReply(1, datetime.now(UTC), ServerReply(server=MGMT, number=1, faults=()), tuple(members))


def said(place: Place, replies: Replies, capsys: pytest.CaptureFixture[str], here: list[str]) -> list[str]:
    with answered(place.state, {MGMT: {"status": {}, **replies}}):
        say_given(place, here)
    return capsys.readouterr().out.splitlines()


def test_reached_servers_are_distinguished_from_the_others(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    assert said(place, {"network": network(FE1, FE2)}, capsys, [MGMT, FE3, FE4]) == [
        f"Management sends it to 2 other servers: {FE1}, {FE2}.",
        f"NOT reachable now: {BOT}, {EDGE}. Each receives it when it is reachable again. See: sipmesh status",
    ]


@pytest.mark.parametrize(("reached", "first"), [(OTHERS, "Management sends"), ([], "NOT reachable")])
def test_one_line_is_enough_where_all_servers_are_alike(
    place: Place, capsys: pytest.CaptureFixture[str], reached: list[str], first: str
) -> None:
    [line] = said(place, {"network": network(*reached)}, capsys, [MGMT])
    assert line.startswith(first)


def test_management_that_refuses_leaves_it_unknown(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    here = [name for name in (MGMT, *OTHERS) if name != EDGE]
    [line] = said(place, {"network": OperatorError("not today")}, capsys, here)
    assert line == f"It is not known whether {EDGE} have it: not today"


def test_without_management_nothing_is_sent(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    say_given(place, [MGMT, *OTHERS[1:]])
    assert capsys.readouterr().out == f"NOT sent to {BOT}: no management server runs here.\n"


def test_nothing_is_said_where_all_servers_are_here(
    place: Place, example: Organisation, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nor in a network without a published version."""
    say_given(place, [MGMT, *OTHERS])
    say_given(Place(example.file), [])
    assert capsys.readouterr().out == ""


def test_act_is_written_into_the_audit_log_with_its_operator(place: Place) -> None:
    note(place, AuditAct.REVOKE, server=FE1)
    management_db = ManagementDb(place.folder)
    last = management_db.audit.read()[-1]
    management_db.close()
    assert (last.act, last.who, dict(last.about)) == (AuditAct.REVOKE, name_of(os.getuid()), {"server": FE1})


def test_network_without_a_version_gets_no_audit_log(example: Organisation) -> None:
    note(Place(example.file), AuditAct.REVOKE, server=FE1)
    assert not has_management_db(example.folder)
