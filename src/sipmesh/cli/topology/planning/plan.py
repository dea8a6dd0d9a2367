"""`sipmesh topology plan`: what the publication of the draft leads to, before it is published."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from sipmesh.cli.control_client import ask_one
from sipmesh.cli.output import BAD, GOOD, WARN, say, say_json
from sipmesh.cli.place import HERE, AsJson, Place, TopologyFile
from sipmesh.cli.topology.change import must_have_draft
from sipmesh.cli.topology.publish import running_management
from sipmesh.errors import OperatorError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sipmesh.pki.ca_rotation import CaGenerations
    from sipmesh.server.management.publishing.application import Publication
    from sipmesh.server.management.publishing.certificate_needs import CertificateNeed
    from sipmesh.server.management.replies import Plan
    from sipmesh.topology.builder.dns_records import DnsRecord
    from sipmesh.topology.builder.home_changes import HomeChange
    from sipmesh.topology.builder.link_changes import AllowedLink
    from sipmesh.topology.document.load import Loaded
    from sipmesh.topology.versions.approval import ApprovalNeed


@dataclass(frozen=True, slots=True)
class PlanReport:
    """What ``sipmesh topology plan --json`` prints: what follows if the draft becomes the version after *base*.

    *revoked* are servers that leave the topology: their certificates are revoked at once, and no rollback brings them back.
    *restarts* says which servers have to be restarted. *users_unread* says why the homes of users are not known. *approvals*
    says which operators must approve the draft, and who has.
    """

    base: int
    digest: str
    changes: Sequence[str]
    dangers: Sequence[str]
    links_appear: Sequence[AllowedLink]
    links_die: Sequence[AllowedLink]
    homes: Sequence[HomeChange]
    users_unread: str
    certificates: Sequence[CertificateNeed]
    dns_needed: Sequence[DnsRecord]
    dns_unused: Sequence[DnsRecord]
    revoked: Sequence[str]
    restarts: Sequence[str]
    approvals: Sequence[ApprovalNeed] = ()


@dataclass(frozen=True, slots=True)
class Planned:
    """A plan with the two topologies that it compares."""

    report: PlanReport
    before: Loaded
    after: Loaded

    @property
    def publication(self) -> Publication:
        """What `apply` carries out."""
        from sipmesh.server.management.publishing.application import Publication

        plan = self.report
        follows = (plan.dangers, plan.certificates, plan.links_appear, plan.restarts, plan.revoked)
        return Publication(plan.base, plan.digest, *follows, self.before, self.after)


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
        say('  to do this: sipmesh topology apply -m "why"')


def planned_for(place: Place) -> Planned:
    """Compare the draft with the version in force; raises `OperatorError` for a draft with problems, and without a version."""
    from sipmesh.cli.topology.dns.presented_chains import tlsa_data
    from sipmesh.server.management.publishing.certificate_needs import certificate_needs
    from sipmesh.server.management.publishing.decommission import servers_of
    from sipmesh.server.management.publishing.publish_checks import from_a_restart
    from sipmesh.topology.builder.dns_records import dns_records
    from sipmesh.topology.builder.link_changes import link_changes

    must_have_draft(place)
    plan = _plan(place)
    after, before = place.load(), _in_force(place)
    if (after.digest, before.number) != (plan.digest, plan.base):
        raise OperatorError(f"{place.file} or the version in force has changed while they were compared; try again")
    restarts = list(from_a_restart(before, after))
    links = link_changes(before, after)
    homes, unread = _homes(before, after)
    old, new = (dns_records(loaded.topology, tlsa_data(place, loaded)) for loaded in (before, after))
    report = PlanReport(
        base=plan.base,
        digest=plan.digest,
        changes=[change for change in plan.changes if change not in restarts],
        dangers=plan.dangers,
        links_appear=links.appear,
        links_die=links.die,
        homes=homes,
        users_unread=unread,
        certificates=list(certificate_needs(after, _generations(place), datetime.now(UTC))),
        dns_needed=[record for record in new if record not in old],
        dns_unused=[record for record in old if record not in new],
        revoked=sorted(servers_of(before) - servers_of(after)),
        restarts=restarts,
        approvals=plan.approvals,
    )
    return Planned(report, before, after)


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


def _generations(place: Place) -> CaGenerations | None:
    try:
        return place.generations()
    except OperatorError:
        return None


def _homes(before: Loaded, after: Loaded) -> tuple[Sequence[HomeChange], str]:
    """Return the changes of homes; or why the users of the version in force cannot be read."""
    from sipmesh.storage.users.user_database import Users
    from sipmesh.topology.builder.home_changes import home_changes

    if before.users_file is not None and not before.users_file.exists():
        return (), ""
    try:
        users = Users(before.users_url)
    except OperatorError as wrong:
        return (), wrong.message
    try:
        known = [(user.aor.removeprefix("sip:"), user.pool) for user in users.list()]
    except OperatorError as wrong:
        return (), wrong.message
    finally:
        users.close()
    return home_changes(before.topology, after.topology, known), ""


def say_plan(planned: Planned) -> None:
    """Print a plan, part by part; parts without content are left out."""
    from sipmesh.topology.builder.link_changes import in_words

    report = planned.report
    if not report.changes:
        say(f"The draft equals version {report.base}, which is published.")
    _part(f"Changes since version {report.base}:", report.changes)
    _part("DANGER, needs --force:", report.dangers, BAD)
    _part("Links that the new version allows:", in_words(report.links_appear, planned.after), GOOD)
    _part("Links that it forbids; those that are up are closed:", in_words(report.links_die, planned.before), WARN)
    _part("Users:", [*map(str, report.homes), *_unread(report)], WARN)
    _part(
        "Certificates:",
        [f"{need.server} {need.why}: {_HOW[need.by].format(need.command)}" for need in report.certificates],
    )
    _part("DNS records that must exist:", list(map(str, report.dns_needed)))
    _part("DNS records that have no use any more:", list(map(str, report.dns_unused)))
    _part("Revoked at once, and for good:", report.revoked, WARN)
    _part("From a restart only:", report.restarts, WARN)
    _part("Approvals of operators:", list(map(str, report.approvals)), WARN)


def _unread(report: PlanReport) -> Sequence[str]:
    return [f"the user database could not be read: {report.users_unread}"] if report.users_unread else []


_HOW = {
    "apply": "`sipmesh topology apply` issues it ({})",
    "renewal": "it gets a new one with its next renewal; sooner, on its machine: {}",
    "join": "on its machine: {}",
}


def _part(title: str, lines: Sequence[str], style: str = "") -> None:
    if lines:
        say(title, style="bold")
        say(*(f"  {line}" for line in lines), style=style)
