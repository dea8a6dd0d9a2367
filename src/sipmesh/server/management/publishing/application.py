"""A plan that is carried out: issue, publish, wait, verify; and the version before again if the verification fails.

The command and the API do it by the same functions. They differ in how they reach management, and in who probes links (`Host`).
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Protocol, TypeVar

from sipmesh.errors import OperatorError, SipmeshError
from sipmesh.pki import files
from sipmesh.server.management.publishing.certificate_needs import IssuedBy
from sipmesh.server.management.publishing.crl_checks import FETCHED_S, checked_crls, crl_checks, servers_of
from sipmesh.server.management.publishing.link_checks import (
    MOST_CHECKS,
    Check,
    Checked,
    broken,
    checks_for,
    connected,
    out_of_contact,
    touched_by,
    without_contact,
    worse_reports,
)
from sipmesh.server.management.publishing.newcomers import new_partners, new_servers, next_steps
from sipmesh.server.management.replies import ACKNOWLEDGED, FETCH_CRLS, NETWORK, PUBLISH, PUBLISHED_S, ROLLBACK

if TYPE_CHECKING:
    from pathlib import Path

    from sipmesh.server.control_socket import ControlCommand
    from sipmesh.server.management.publishing.certificate_needs import CertificateNeed
    from sipmesh.server.management.replies import MemberReply
    from sipmesh.topology.builder.link_changes import AllowedLink
    from sipmesh.topology.document.load import Loaded

T = TypeVar("T")

ASKED_S: Final = 5.0
BACK_S: Final = 10.0
"""Seconds for the servers to confirm the version with the content from before."""

SETTLE_S = 0.5
"""A link that fails is probed once more after this: a server may just be moving its links to a new certificate."""


@dataclass(slots=True)
class ApplyReport:
    """The result of `sipmesh topology apply`: *version* is the new one, *base* the version before.

    *missing* servers do not have the version in force. *new* are servers and partners that the version adds and that have not
    connected; *next_steps* say what to do there. *unreached* are those of *missing* with which management had no contact before
    the publication, nor since. Neither is a fault. *faults* say why the verification has failed. *rolled_back* is the number of
    the version that has the content from before, 0 if there is none.
    """

    base: int
    version: int = 0
    issued: Sequence[str] = ()
    missing: Sequence[str] = ()
    new: Sequence[str] = ()
    checks: Sequence[Checked] = ()
    faults: list[str] = field(default_factory=list)
    rolled_back: int = 0
    unreached: Sequence[str] = ()
    next_steps: Sequence[str] = ()

    @property
    def warning(self) -> str:
        """Name the servers that have neither confirmed the version nor been verified, in a sentence; empty if there is none."""
        if not self.unreached:
            return ""
        return (
            f"Management had no contact with {', '.join(self.unreached)}, before the publication and since. The version is not "
            "verified there, and comes into force with the next contact. Then: sipmesh topology verify"
        )


class Host(Protocol):
    """The host of the draft and of the CA. Each method raises `SipmeshError` if it cannot do it."""

    @property
    def draft(self) -> str:
        """The file name of the draft."""

    def ask(self, command: ControlCommand[T], timeout_s: float, /, **given: object) -> T:
        """Have management carry out a command."""

    def issue(self, loaded: Loaded, name: str) -> None:
        """Issue a certificate for the server *name* of a topology, and write the audit log."""

    def reload(self) -> None:
        """Have the servers of this machine read their new certificates."""

    def probe(self, checks: Sequence[Check]) -> list[Checked]:
        """Open each link once, and return the result of each."""


@dataclass(frozen=True, slots=True)
class Publication:
    """What is published after version *base*: the draft with this *digest*, and what follows from it (`PlanReport`).

    *elsewhere* are the servers that listen on other addresses or ports from their next start.
    """

    base: int
    digest: str
    dangers: Sequence[str]
    certificates: Sequence[CertificateNeed]
    links_appear: Sequence[AllowedLink]
    elsewhere: Sequence[str]
    revoked: Sequence[str]
    before: Loaded
    after: Loaded


class Certificates:
    """The certificates that the plan needs and this machine issues; the files from before are kept in memory."""

    def __init__(self, host: Host, planned: Publication) -> None:
        self._host, self._planned = host, planned
        self._kept: dict[Path, bytes] = {}

    def issue(self) -> Sequence[str]:
        """Issue what is missing, and return the servers. Raises `OperatorError` if the CA is on another machine."""
        names = [need.server for need in self._planned.certificates if need.by is IssuedBy.APPLY]
        for name in names:
            self._keep(self._planned.after, name)
            self._host.issue(self._planned.after, name)
        return names

    def _keep(self, loaded: Loaded, name: str) -> None:
        for file in _files_of(loaded, name):
            with suppress(FileNotFoundError):
                self._kept[file] = file.read_bytes()

    def restore(self) -> Sequence[str]:
        """Write the certificates from before again, and issue for the servers whose certificates the new version has revoked.

        Returns the revoked servers whose keys are elsewhere: each needs a new request.
        """
        for file, content in self._kept.items():
            files.write(file, content, files.SECRET if file.suffix == ".key" else files.PUBLIC)
        elsewhere = []
        for name in self._planned.revoked:
            if any(file.exists() for file in _files_of(self._planned.before, name)):
                self._host.issue(self._planned.before, name)
            else:
                elsewhere.append(name)
        return elsewhere


def _files_of(loaded: Loaded, name: str) -> Sequence[Path]:
    server = loaded.topology.server(name)
    if server is None:
        return ()
    names = [server.certificate_file, server.key_file, server.signer_certificate_file, server.signer_key_file]
    return [loaded.folder / name for name in names]


class Application:
    """One plan that is carried out by a running management server, from a *host* that has the draft."""

    def __init__(self, host: Host, planned: Publication) -> None:
        self._host, self._planned = host, planned
        self._certificates = Certificates(host, planned)

    def run(self, why: str, wait: float, *, force: bool, rolls_back: bool) -> ApplyReport:
        """Carry the plan out. Raises `OperatorError` if nothing is published; then the certificates are as before."""
        plan = self._planned
        needed = [need.server for need in plan.certificates if need.by is IssuedBy.APPLY]
        touched = touched_by(self._planned.before, self._planned.after, needed, plan.links_appear)
        wanted = checks_for(self._planned.after, plan.links_appear, touched)
        known = set(checks_for(self._planned.before, (), touched))
        before = self._probe([check for check in wanted if check in known])
        members = self._members()
        report = ApplyReport(plan.base, issued=self._issued(why, force=force))
        report.version = self._publish(why, force=force)
        try:
            self._wait(report, wait, members)
            self._verify(report, self._runnable(wanted, report), before, members)
        except SipmeshError as wrong:  # such as a management server that ends meanwhile
            report.faults.append(f"the verification could not be finished: {wrong}")
        if report.faults and rolls_back:
            self._take_back(report, why)
        return report

    def _take_back(self, report: ApplyReport, why: str) -> None:
        try:
            self._roll_back(report, why)
        except SipmeshError as wrong:
            what = "confirmed by every server" if report.rolled_back else "published"
            report.faults.append(f"the version with the content from before is not {what}: {wrong}")

    def _issued(self, why: str, *, force: bool) -> Sequence[str]:
        plan = self._planned
        if plan.dangers and not force:
            sentences = "; ".join(plan.dangers)
            raise OperatorError(
                f"not applied, since {why!r} would break something: {sentences}; --force does it anyway"
            )
        return self._certificates.issue()

    def _publish(self, why: str, *, force: bool) -> int:
        plan, draft = self._planned, self._host.draft
        given = {"why": why, "draft": draft, "base": plan.base, "digest": plan.digest, "force": force}
        try:
            published = self._host.ask(PUBLISH, PUBLISHED_S, **given)
        except SipmeshError:
            self._certificates.restore()
            raise
        self._host.reload()  # servers read their new certificates
        return published.version

    def _wait(self, report: ApplyReport, wait: float, before: Sequence[MemberReply]) -> None:
        held = self._host.ask(ACKNOWLEDGED, wait + 5, version=report.version, wait_s=wait)
        report.missing, now = held.missing, self._members()
        report.new = sorted(new_servers(self._planned.before, self._planned.after) - connected(now))
        if without_contact(before) & set(held.missing):
            report.unreached = out_of_contact(before, now, held.missing)
        late = [name for name in held.missing if name not in report.unreached]
        report.faults += [f"{name} has not confirmed the version within {wait:g} s" for name in late]

    def _members(self) -> Sequence[MemberReply]:
        return self._host.ask(NETWORK, ASKED_S).servers

    def _runnable(self, wanted: Sequence[Check], report: ApplyReport) -> list[Check]:
        """Leave out what cannot work yet: servers that do not run, or listen elsewhere until they are restarted."""
        waiting = {*report.new, *report.unreached, *self._planned.elsewhere}
        return [check for check in wanted if not {check.opener, check.target.rpartition(":")[0]} & waiting]

    def _verify(
        self, report: ApplyReport, checks: list[Check], before: Sequence[Checked], members: Sequence[MemberReply]
    ) -> None:
        report.checks = self._probe(checks)
        plan, partners = self._planned, new_partners(self._planned.before, self._planned.after)
        failed = broken(before, report.checks, partners)
        if failed:
            time.sleep(SETTLE_S)
            again = {result.check: result for result in self._probe([result.check for result in failed])}
            report.checks = [again.get(result.check, result) for result in report.checks]
        report.faults += [f"{result.check}: {result.told}" for result in broken(before, report.checks, partners)]
        report.faults += worse_reports(members, self._members(), report.unreached)
        silent = {one.check.target_name for one in report.checks if not one.passed} & partners
        report.next_steps = next_steps(plan.after, report.new, silent)
        report.new = [*report.new, *sorted(silent)]
        self._verify_crls(report)

    def _verify_crls(self, report: ApplyReport) -> None:
        """Have each server fetch the CRLs that the version adds by URL: without one, it refuses certificates of that CA."""
        checks = self._runnable(crl_checks(self._planned.after, self._planned.before), report)[:MOST_CHECKS]
        if not checks:
            return
        replies = self._host.ask(FETCH_CRLS, FETCHED_S + 5, servers=servers_of(checks), wait_s=FETCHED_S)
        results = checked_crls(checks, replies)
        report.checks = [*report.checks, *results]
        report.faults += [f"{result.check}: {result.told}" for result in results if not result.passed]

    def _probe(self, checks: Sequence[Check]) -> list[Checked]:
        return self._host.probe(checks[:MOST_CHECKS])

    def _roll_back(self, report: ApplyReport, why: str) -> None:
        base, reason = self._planned.base, f"version {report.version} ({why}) has failed its verification"
        published = self._host.ask(ROLLBACK, PUBLISHED_S, version=base, why=reason, base=report.version, force=True)
        report.rolled_back = published.version
        elsewhere = self._certificates.restore()
        self._host.reload()
        report.faults += [f"{name} stays revoked; on its machine: sipmesh join request {name}" for name in elsewhere]
        self._host.ask(ACKNOWLEDGED, BACK_S + 5, version=published.version, wait_s=BACK_S)
