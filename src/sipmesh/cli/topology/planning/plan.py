"""`sipmesh topology plan`: what the publication of the draft leads to, before it is published."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sipmesh.cli.control_client import ask_one
from sipmesh.cli.management_socket import running_management
from sipmesh.cli.output import BAD, GOOD, WARN, say, say_json
from sipmesh.cli.place import HERE, AsJson, Place, TopologyFile
from sipmesh.cli.topology.change import must_have_draft
from sipmesh.cli.topology.planning.reading import name_of
from sipmesh.errors import OperatorError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sipmesh.server.management.publishing.plan_report import Planned, PlanReport
    from sipmesh.server.management.replies import Plan
    from sipmesh.topology.document.load import Loaded


def plan(*, topology: TopologyFile = HERE, as_json: AsJson = False) -> None:
    """Show what publishing the draft would do: links, users, certificates, DNS records, restarts, approvals.

    It changes nothing. `sipmesh topology apply` does it, verifies it, and goes back if the verification fails.
    """
    planned = planned_for(Place(topology))
    if as_json:
        say_json(planned.report)
        return
    say_plan(planned)
    if any(not need.is_met for need in planned.report.approvals):
        say("  operators must approve it first: sipmesh topology propose")
    elif planned.report.changes:
        say(f'  to do this: sipmesh topology apply -m "why" --plan {name_of(planned.report)}')


def planned_for(place: Place) -> Planned:
    """Compare the draft with the version in force; raises `OperatorError` for a draft with problems, and without a version."""
    from sipmesh.server.management.publishing.plan_report import planned

    must_have_draft(place)
    plan = _plan(place)
    return planned(plan, _in_force(place), place.load(), place.generations)


def _plan(place: Place) -> Plan:
    """Return what management says, or what a command finds while management does not run."""
    from sipmesh.server.management.publishing.offline_publish import plan_at_rest
    from sipmesh.server.management.replies import PLAN

    socket = running_management(place)
    if socket is None:
        return plan_at_rest(place.file)
    return ask_one(socket, PLAN, draft=place.file.name)


def _in_force(place: Place) -> Loaded:
    from sipmesh.server.replication.topology_source import published_in

    newest = published_in(place.folder)
    if newest is None:
        raise OperatorError("no version is published: servers read the file; see: sipmesh topology publish --help")
    return newest


def say_plan(planned: Planned) -> None:
    """Print a plan, part by part; parts without content are left out."""
    from sipmesh.topology.builder.link_changes import in_words

    report = planned.report
    if not report.changes:
        say(f"The draft equals version {report.base}, which is published.")
    _part(f"Changes since version {report.base}:", report.changes)
    _part("DANGER, needs --force:", report.dangers, BAD)
    _part("DANGER, gives more power:", list(map(str, report.grants)), BAD)
    _part("Links that the new version allows:", in_words(report.links_appear, planned.after), GOOD)
    _part("Links that it forbids; those that are up are closed:", in_words(report.links_die, planned.before), WARN)
    _part("Users:", [*map(str, report.homes), *_unread(report)], WARN)
    _part("Certificates:", list(map(str, report.certificates)))
    _part("TLSA records:", [f"their data is not known: {report.tlsa_unknown}"] if report.tlsa_unknown else [], WARN)
    _part("DNS records that must exist:", list(map(str, report.dns_needed)))
    _part("DNS records that have no use any more:", list(map(str, report.dns_unused)))
    _part("Revoked at once and permanently:", report.revoked, WARN)
    _part("From a restart only:", report.restarts, WARN)
    _part("Approvals of operators:", list(map(str, report.approvals)), WARN)


def _unread(report: PlanReport) -> Sequence[str]:
    return [f"the user database could not be read: {report.users_unread}"] if report.users_unread else []


def _part(title: str, lines: Sequence[str], style: str = "") -> None:
    if lines:
        say(title, style="bold")
        say(*(f"  {line}" for line in lines), style=style)
