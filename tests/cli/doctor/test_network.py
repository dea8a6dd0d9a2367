"""The servers of this host, and the faults that management knows: each once, at its cause."""

from __future__ import annotations

from sipmesh.cli.doctor.check import State
from sipmesh.cli.doctor.network import fault_checks, management_checks, server_checks
from sipmesh.cli.typed_commands import TypedCommands
from sipmesh.server.management.server_faults import Fault
from sipmesh.trust.code import Code

FE1, FE2, MGMT = "fe1.example.com", "fe2.example.com", "mgmt.example.com"
TYPED = TypedCommands(packaged=False)
SILENT = Fault("no report from it yet", "start it")


def test_servers_of_this_host_that_do_not_run_are_one_fault() -> None:
    [stopped], [runs] = server_checks([FE1, FE2], [FE1], TYPED), server_checks([FE1], [FE1], TYPED)
    assert (stopped.state, stopped.remedy) == (State.BAD, f"start: sipmesh serve {FE2}")
    assert runs.told == f"{FE1} runs"
    assert [*server_checks([], [], TYPED)] == []


def test_host_without_management_reports_its_servers_that_have_no_link_with_it() -> None:
    """The control: a server that is linked with management, and a network without management."""
    [alone] = management_checks({FE1: {FE2}, FE2: {FE1, MGMT}}, [MGMT])
    assert (alone.state, alone.told.partition(" ")[0]) == (State.BAD, FE1)
    assert alone.remedy.startswith(f"start it on its host: sipmesh serve {MGMT};")
    [linked] = management_checks({FE2: {FE1, MGMT}}, [MGMT])
    [without] = management_checks({FE2: {FE1}}, [])
    assert (linked.state, without.state) == (State.GOOD, State.SKIPPED)


def test_fault_of_a_server_that_is_stopped_here_is_reported_once() -> None:
    [check] = fault_checks([((FE1, FE2), SILENT), ((FE2,), SILENT)], [FE2])
    assert check.told == f"{FE1}: no report from it yet"


def test_certificate_that_peers_refuse_is_reported_once_as_that() -> None:
    """The control: the same link fails for another reason, or the certificate of that server is good."""
    revoked = Fault("no link to it: 127.0.0.1 port 5064: revoked", code=Code.REVOKED)
    silent = Fault("no link to it: Connection refused")
    [told] = fault_checks([((FE1,), revoked), ((FE1,), silent)], [], [FE1])
    assert told.told == f"{FE1}: no link to it: Connection refused"
    [other] = fault_checks([((FE1,), revoked)], [], [FE2])
    assert other.told.endswith("revoked")


def test_network_without_a_fault_is_good_and_a_fault_without_a_remedy_leads_to_the_log() -> None:
    [good], [fault] = fault_checks([], []), fault_checks([((FE1,), Fault("odd"))], [])
    assert (good.state, fault.remedy) == (State.GOOD, f"read the log of {FE1}")
