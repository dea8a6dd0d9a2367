"""What the publication of a draft leads to: `sipmesh topology plan`, the API and the console show the same report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from sipmesh.errors import OperatorError
from sipmesh.server.certificates.presented_chains import tlsa_data
from sipmesh.server.management.publishing.application import Publication
from sipmesh.server.management.publishing.certificate_needs import CertificateNeed, certificate_needs
from sipmesh.server.management.publishing.decommission import servers_of
from sipmesh.server.management.publishing.publish_checks import from_a_restart, listen_elsewhere
from sipmesh.storage.users.user_database import Users
from sipmesh.topology.builder.dns_records import DnsRecord, dns_records
from sipmesh.topology.builder.home_changes import HomeChange, home_changes
from sipmesh.topology.builder.link_changes import AllowedLink, link_changes
from sipmesh.topology.versions.approval import ApprovalNeed
from sipmesh.topology.versions.grants.grant import Grant

if TYPE_CHECKING:
    from collections.abc import Callable

    from sipmesh.pki.ca_rotation import CaGenerations
    from sipmesh.server.management.replies import Plan
    from sipmesh.topology.document.load import Loaded


@dataclass(frozen=True, slots=True)
class PlanReport:
    """What follows if the *draft* becomes the version after *base*; *draft* is its file name, *digest* its digest.

    *revoked* are servers that leave the topology: their certificates are revoked at once, and no rollback brings them back.
    *restarts* says which servers have to be restarted. *users_unread* says why the homes of users are not known, and
    *tlsa_unknown* why the DNS records have no TLSA records. *approvals* says which operators must approve the draft, and who has.
    *grants* says who gets what, and which role has to publish it. *operators* tells whether operators of the console may have
    changed the draft.
    """

    draft: str
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
    tlsa_unknown: str
    revoked: Sequence[str]
    restarts: Sequence[str]
    approvals: Sequence[ApprovalNeed] = ()
    grants: Sequence[Grant] = ()
    operators: bool = False


@dataclass(frozen=True, slots=True)
class Planned:
    """A plan with the two topologies that it compares."""

    report: PlanReport
    before: Loaded
    after: Loaded

    @property
    def publication(self) -> Publication:
        """What `Application` carries out."""
        plan = self.report
        elsewhere = listen_elsewhere(self.before, self.after)
        follows = (plan.dangers, plan.certificates, plan.links_appear, elsewhere, plan.revoked)
        return Publication(plan.base, plan.digest, *follows, self.before, self.after)


def planned(plan: Plan, before: Loaded, after: Loaded, generations: Callable[[], CaGenerations]) -> Planned:
    """Add to a *plan* what follows from the draft *after*; it reads the user database and the ledger of the CA.

    *generations* returns our CAs, or raises `OperatorError` on a machine without them. Raises `OperatorError` if *before* and
    *after* are not those of the plan.
    """
    if (after.digest, before.number) != (plan.digest, plan.base):
        raise OperatorError("the draft or the version in force has changed while they were compared; try again")
    restarts, links = list(from_a_restart(before, after)), link_changes(before, after)
    homes, users_unread = _homes(before, after)
    old, new, tlsa_unknown = _records(before, after, generations)
    report = PlanReport(
        draft=plan.draft,
        base=plan.base,
        digest=plan.digest,
        changes=[change for change in plan.changes if change not in restarts],
        dangers=plan.dangers,
        links_appear=links.appear,
        links_die=links.die,
        homes=homes,
        users_unread=users_unread,
        certificates=list(certificate_needs(after, _if_here(generations), datetime.now(UTC))),
        dns_needed=[record for record in new if record not in old],
        dns_unused=[record for record in old if record not in new],
        tlsa_unknown=tlsa_unknown,
        revoked=sorted(servers_of(before) - servers_of(after)),
        restarts=restarts,
        approvals=plan.approvals,
        grants=plan.grants,
        operators=plan.operators,
    )
    return Planned(report, before, after)


def _if_here(generations: Callable[[], CaGenerations]) -> CaGenerations | None:
    try:
        return generations()
    except OperatorError:
        return None


def _records(
    before: Loaded, after: Loaded, generations: Callable[[], CaGenerations]
) -> tuple[Sequence[DnsRecord], Sequence[DnsRecord], str]:
    """Return the DNS records of both topologies; without TLSA records, and with the reason, if their data is not known."""
    try:
        old, new = (dns_records(loaded.topology, tlsa_data(loaded, generations)) for loaded in (before, after))
    except OperatorError as wrong:
        return dns_records(before.topology), dns_records(after.topology), wrong.message
    return old, new, ""


def _homes(before: Loaded, after: Loaded) -> tuple[Sequence[HomeChange], str]:
    """Return the changes of homes; or why the users of the version in force cannot be read."""
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
