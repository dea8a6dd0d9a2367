"""Checks after a publication: real links from each server concerned, the CRLs that it fetches, and the report of every server.

This command opens the links of a server whose key is on this machine. Management has the other servers open theirs. Each server
fetches its own CRLs.
"""

from __future__ import annotations

from operator import attrgetter
from typing import TYPE_CHECKING, Final

import typer

from sipmesh.cli.management_socket import running_management
from sipmesh.cli.output import BAD, GOOD, WARN, say, say_json
from sipmesh.cli.place import HERE, AsJson, Place, TopologyFile
from sipmesh.errors import OperatorError
from sipmesh.server.management.publishing.link_checks import MOST_CHECKS, Check, Checked, checks_for, is_here

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from sipmesh.server.management.replies import ProbedReply


PROBED_S: Final = 30.0
"""Seconds that servers on other machines have for their links; most take some hundredths of a second."""


def run_checks(place: Place, checks: Sequence[Check], socket: Path | None) -> list[Checked]:
    """Probe each link once, under the version in force; management behind *socket* asks the servers of other machines.

    Without a running management server these links are left out.
    """
    loaded = place.in_force()
    local = [check for check in checks if not check.opener or is_here(loaded, check.opener)]
    remote = [check for check in checks if check not in local]
    results = [_run(place, check) for check in local]
    return sorted(
        results + (_run_elsewhere(remote, socket) if remote and socket is not None else []), key=attrgetter("check")
    )


def _run_elsewhere(checks: Sequence[Check], socket: Path) -> list[Checked]:
    from sipmesh.cli.control_client import ask_one
    from sipmesh.server.management.replies import PROBE_LINKS

    links: dict[str, list[str]] = {}
    for check in checks:
        links.setdefault(check.opener, []).append(check.target_name)
    replies = ask_one(socket, PROBE_LINKS, PROBED_S + 5, links=links, wait_s=PROBED_S)
    found = {(reply.server, reply.target): reply for reply in replies}
    return [Checked(check, *_told(found.get((check.opener, check.target_name)))) for check in checks]


def _told(reply: ProbedReply | None) -> tuple[bool, str]:
    return (reply.passed, reply.told) if reply is not None else (False, "management has no result")


def _run(place: Place, check: Check) -> Checked:
    from sipmesh.cli.diagnosis.explain import probed
    from sipmesh.cli.diagnosis.probe_target import Target

    try:
        report, result = probed(Target(check.target, check.opener, (check.name,) if check.name else (), ()), place)
    except OperatorError as wrong:
        return Checked(check, passed=False, told=wrong.message)
    last = result.stages[-1].told if result.stages else "nothing was probed"
    reason = result.verdict.reason if result.verdict is not None and not report.good else None
    return Checked(check, report.good, f"{last}; {reason.saw}" if reason else last)


def run_crl_checks(checks: Sequence[Check], socket: Path | None) -> list[Checked]:
    """Have each server fetch its CRLs once; management behind *socket* asks them, and without it there are no results."""
    from sipmesh.cli.control_client import ask_one
    from sipmesh.server.management.publishing.crl_checks import FETCHED_S, checked_crls, servers_of
    from sipmesh.server.management.replies import FETCH_CRLS

    if not checks or socket is None:
        return []
    replies = ask_one(socket, FETCH_CRLS, FETCHED_S + 5, servers=servers_of(checks), wait_s=FETCHED_S)
    return checked_crls(checks, replies)


def verify(*, topology: TopologyFile = HERE, as_json: AsJson = False) -> None:
    """Probe every link that the version in force allows, from the server that opens it, and fetch each CRL that has a URL.

    If management runs here, it asks the front ends and edges of other machines. Each of them fetches the CRLs that it needs.

    Exit codes: 0 if every link works and every CRL can be used, 1 otherwise.
    """
    from sipmesh.server.management.publishing.crl_checks import crl_checks

    place, socket = Place(topology), running_management(Place(topology))
    loaded = place.in_force()
    every = loaded.topology.server_names
    checks = checks_for(loaded, (), every)
    results = run_checks(place, checks[:MOST_CHECKS], socket)
    results += run_crl_checks(crl_checks(loaded)[:MOST_CHECKS], socket)
    if as_json:
        say_json(results)
    else:
        say_checks(results)
        say_left_out(len(checks))
    raise typer.Exit(0 if all(result.passed for result in results) else 1)


def say_checks(results: Sequence[Checked]) -> None:
    """Print the result of each check."""
    for result in results:
        say(f"  {'✓' if result.passed else '✗'} {result.check}: {result.told}", style=GOOD if result.passed else BAD)
    if not results:
        say("No link can be probed from this machine.", style="dim")


def say_left_out(count: int) -> None:
    """Print how many of *count* checks are beyond the limit, if any."""
    if count > MOST_CHECKS:
        say(
            f"{count - MOST_CHECKS} further links are not probed: one command probes {MOST_CHECKS} at most.", style=WARN
        )
