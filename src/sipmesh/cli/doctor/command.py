"""`sipmesh doctor`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from sipmesh.cli.control_client import ask_all, ask_one
from sipmesh.cli.doctor.check import Check, State, skipped
from sipmesh.cli.output import BAD, GOOD, MARKS, QUIET, WARN, plural, say, say_json
from sipmesh.cli.place import HERE, AsJson, Place, TopologyFile

if TYPE_CHECKING:
    from sipmesh.cli.doctor.host import Host

SIGNS = {State.GOOD: ("✓", GOOD), State.WARNING: ("!", WARN), State.BAD: ("✗", BAD), State.SKIPPED: ("·", QUIET)}


@dataclass(frozen=True, slots=True)
class DoctorReport:
    """What ``sipmesh doctor --json`` prints: *ok* says that no check is bad."""

    ok: bool
    host: Sequence[Check]
    network: Sequence[Check]


def doctor(
    *,
    faults_only: Annotated[bool, typer.Option("--faults", help="Print only what is to be done.")] = False,
    topology: TopologyFile = HERE,
    as_json: AsJson = False,
) -> None:
    """Check this host, and the network as management knows it: each check in one sentence, with its remedy.

    The host: clock, descriptors, disk, topology, modes of files, what expires, formats and releases, stores, ports, units, DNS.
    The network: the faults of `sipmesh status`, each once, and releases that differ. It changes nothing.

    Exit code 1: a check is bad. A warning alone is exit code 0.
    """
    host = _host(Place(topology))
    report = (
        _report([*host.checks()], [*_network(host)]) if host is not None else _report([*_bare(Place(topology))], ())
    )
    if as_json:
        say_json(report)
    else:
        _say("This host", report.host, faults_only=faults_only)
        _say("The network", report.network, faults_only=faults_only)
        _sum_up([*report.host, *report.network])
    raise typer.Exit(0 if report.ok else 1)


def _report(host: Sequence[Check], network: Sequence[Check]) -> DoctorReport:
    return DoctorReport(all(check.state is not State.BAD for check in (*host, *network)), host, network)


def _bare(place: Place) -> Iterator[Check]:
    """Check a host on which there is no organisation yet."""
    from sipmesh.cli.doctor.machine import bare_checks

    yield from bare_checks(place.folder)
    where = place.folder.absolute()
    yield skipped("topology", f"{where} has no organisation: make one by sipmesh init, or join one by sipmesh join")


def _host(place: Place) -> Host | None:
    from sipmesh.cli.doctor.host import Host
    from sipmesh.server.admin.replies import STATUS

    loaded = place.found()
    if loaded is None:
        return None
    running = {answer.server: answer.reply for answer in ask_all(place, STATUS) if answer.reply is not None}
    return Host(place, loaded, running, datetime.now(UTC))


def _network(host: Host) -> Iterator[Check]:
    from sipmesh.cli.diagnosis.status import faults_of
    from sipmesh.cli.doctor.network import fault_checks, management_checks
    from sipmesh.cli.doctor.releases import pool_checks
    from sipmesh.cli.management_socket import running_management
    from sipmesh.server.management.replies import NETWORK as ASK_NETWORK
    from sipmesh.topology.expiry.impact import managers

    socket = running_management(host.place)
    if socket is None:
        yield from management_checks(_linked(host), managers(host.loaded.topology))
        return
    known = ask_one(socket, ASK_NETWORK)
    refused = [entry.name for entry in host.stock.entries if entry.urgent]
    yield from fault_checks(faults_of(known), host.stopped, refused)
    yield from pool_checks([(one.pool, one.server, one.release) for one in known.servers if one.number is not None])


def _linked(host: Host) -> dict[str, set[str]]:
    """Return the peers of each server that runs here."""
    from sipmesh.server.admin.replies import LINKS

    answers = ask_all(host.place, LINKS)
    return {answer.server: {link.peer for link in answer.reply} for answer in answers if answer.reply is not None}


def _say(title: str, checks: Sequence[Check], *, faults_only: bool) -> None:
    shown = [check for check in checks if check.remedy or not faults_only]
    if shown:
        say(title, style="bold")
    for check in shown:
        say_check(check)


def say_check(check: Check) -> None:
    """Print one check, with its remedy on the next line."""
    sign, style = SIGNS[check.state]
    say(f"  {sign} {check.name:<12} {check.told}", style=style)
    if check.remedy:
        say(f"      → {check.remedy}", style=MARKS["→"])


def _sum_up(checks: Sequence[Check]) -> None:
    wrong = sum(check.state is State.BAD for check in checks)
    warned = sum(check.state is State.WARNING for check in checks)
    if wrong or warned:
        say(f"{plural(wrong, 'fault')}, {plural(warned, 'warning')}.", style=BAD if wrong else WARN)
    else:
        say("Nothing is to be done.", style=GOOD)
