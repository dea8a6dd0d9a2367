"""`sipmesh topology dns check --each-server`: DNS as each front end and edge sees it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from sipmesh.cli.control_client import ask_one
from sipmesh.cli.management_socket import running_management
from sipmesh.cli.output import BAD, GOOD, say, say_json
from sipmesh.cli.topology.dns.findings import say_findings
from sipmesh.errors import OperatorError
from sipmesh.topology.builder.dns_findings import DnsAnswer, Dnssec, State, compare, questions
from sipmesh.trust.role import BORDERS, Role

if TYPE_CHECKING:
    from sipmesh.cli.place import Place
    from sipmesh.server.management.replies import DnsReply
    from sipmesh.topology.builder.dns_findings import DnsFinding
    from sipmesh.topology.builder.dns_records import DnsRecord
    from sipmesh.topology.document.load import Loaded

ANSWERED_S: Final = 30.0
"""Seconds for all servers; each has two attempts of 3 s at each of its name servers."""


@dataclass(frozen=True, slots=True)
class ServerDnsReport:
    """What ``--json`` prints for each *server*: *good* says whether everything is right.

    *fault* says why there are no *findings*, or why findings are missing.
    """

    server: str
    good: bool
    fault: str
    findings: Sequence[DnsFinding]


def check_from_each(place: Place, loaded: Loaded, records: Sequence[DnsRecord], *, as_json: bool) -> int:
    """Have each front end and edge of *loaded* ask DNS, and print how the answers differ from *records*; returns the exit code.

    Raises `OperatorError` if no management server runs here.
    """
    from sipmesh.server.management.replies import ASK_DNS

    socket = running_management(place)
    if socket is None:
        raise OperatorError(
            "no management server runs here; start it, or ask from this machine: sipmesh topology dns check"
        )
    asked = [
        one.name for pool in loaded.topology.pools if pool.role in {Role.FRONT_END, *BORDERS} for one in pool.servers
    ]
    replies = ask_one(socket, ASK_DNS, ANSWERED_S + 5, servers=asked, wait_s=ANSWERED_S)
    wanted = {(record.name, record.type) for record in records}
    reports = [_report(reply, records, wanted) for reply in replies]
    if as_json:
        say_json(reports)
    else:
        for report in reports:
            _say(report)
    return 0 if all(report.good for report in reports) else 1


def _report(reply: DnsReply, records: Sequence[DnsRecord], wanted: AbstractSet[tuple[str, str]]) -> ServerDnsReport:
    """Compare the answers for names among *records*: a server is not asked for less where the operator wants less."""
    asked = {*questions(records)}
    answers = {
        (one.name, one.type): DnsAnswer(one.data, _dnssec(one.dnssec), one.fault)
        for one in reply.answers
        if (one.name, one.type) in asked
    }
    findings, fault = compare(records, answers), reply.fault or _unasked(wanted - answers.keys())
    good = not fault and all(finding.state is State.GOOD for finding in findings)
    return ServerDnsReport(reply.server, good, fault, findings)


def _unasked(keys: Collection[tuple[str, str]]) -> str:
    """Say which records a server has not asked for, empty if there are none."""
    if not keys:
        return ""
    name, kind = min(keys)
    return f"it has not asked for {len(keys)} of the records, such as {name}. {kind}: compare them by sipmesh topology dns check"


def _dnssec(said: str) -> Dnssec:
    return Dnssec(said) if said in set(Dnssec) else Dnssec.UNKNOWN


def _say(report: ServerDnsReport) -> None:
    """Print what is wrong, and of what is right the number."""
    wrong = [finding for finding in report.findings if finding.state is not State.GOOD]
    say(f"As {report.server} sees DNS:", style="bold")
    if report.fault:
        say(f"  ✗ {report.fault}", style=BAD)
    if not report.findings:
        return
    say_findings(wrong)
    right = len(report.findings) - len(wrong)
    say(f"  {'✓' if not wrong else ' '} {right} of {len(report.findings)} names are right", style="" if wrong else GOOD)
