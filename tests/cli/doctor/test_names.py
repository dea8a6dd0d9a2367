"""What DNS has, in one line."""

from __future__ import annotations

from sipmesh.cli.doctor.check import State
from sipmesh.cli.doctor.names import dns_checks, loopback_check
from sipmesh.topology.builder.dns_findings import DnsFinding, Dnssec
from sipmesh.topology.builder.dns_findings import State as RecordState

GOOD = DnsFinding("fe1.example.com", "A", RecordState.GOOD, Dnssec.INSECURE, ("192.0.2.1",), ("192.0.2.1",))
MISSING = DnsFinding("_sips._tcp.example.com", "SRV", RecordState.MISSING, Dnssec.INSECURE, ("1 1 5061 fe1.",), ())
SILENT = DnsFinding("fe1.example.com", "A", RecordState.UNANSWERED, Dnssec.UNKNOWN, ("192.0.2.1",), ())
ASKED = ("192.0.2.53 port 53",)


def test_records_that_are_missing_are_one_fault_with_the_command_that_prints_them() -> None:
    [check] = dns_checks([GOOD, MISSING], ASKED)
    assert check.state is State.BAD
    assert check.told == "1 of 2 DNS records are not right: _sips._tcp.example.com. SRV is missing"
    assert "sipmesh topology dns --format bind" in check.remedy


def test_name_server_that_does_not_answer_is_the_cause_of_all_of_them() -> None:
    [check] = dns_checks([SILENT, SILENT], ASKED)
    assert check.told == "no name server answers (192.0.2.53 port 53)"


def test_records_that_are_all_there_are_good() -> None:
    [check] = dns_checks([GOOD], ASKED)
    assert (check.state, loopback_check().state) == (State.GOOD, State.SKIPPED)
