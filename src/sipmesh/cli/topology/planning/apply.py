"""`sipmesh topology apply`: issue, publish, wait, verify; and go back to the version before if the verification fails."""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from sipmesh.cli.control_client import ask_one, links_of, reload
from sipmesh.cli.output import BAD, GOOD, WARN, say, say_json
from sipmesh.cli.place import HERE, AsJson, Place, TopologyFile
from sipmesh.cli.topology.planning.certificate_needs import IssuedBy
from sipmesh.cli.topology.planning.plan import planned_for, say_plan
from sipmesh.cli.topology.planning.verification import (
    MOST_CHECKS,
    broken,
    checks_for,
    run_checks,
    say_checks,
    touched_by,
    worse_reports,
)
from sipmesh.cli.topology.publish import WAIT_S, Force, Wait, publish_at_rest, running_management, say_rested
from sipmesh.cli.topology.remote_servers import note
from sipmesh.errors import OperatorError, SipmeshError
from sipmesh.storage.audit_act import AuditAct

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from pathlib import Path

    from sipmesh.cli.topology.planning.plan import Planned
    from sipmesh.cli.topology.planning.verification import Check, Checked
    from sipmesh.server.management.replies import MemberReply
    from sipmesh.topology.document.load import Loaded

NO_ROLLBACK = typer.Option("--no-rollback", help="Keep the new version although the verification fails.")


@dataclass(slots=True)
class ApplyReport:
    """What ``sipmesh topology apply --json`` prints: *version* is the new one, *base* the one before.

    *missing* servers do not have the version in force, *new* servers have not started. *faults* say why the verification has
    failed. *rolled_back* is the number of the version that has the content from before, 0 if there is none.
    """

    base: int
    version: int = 0
    issued: Sequence[str] = ()
    missing: Sequence[str] = ()
    new: Sequence[str] = ()
    checks: Sequence[Checked] = ()
    faults: list[str] = field(default_factory=list)
    rolled_back: int = 0


def apply(
    *,
    why: Annotated[str, typer.Option("-m", "--message", metavar="WHY", help="The reason, for the history.")],
    force: Force = False,
    no_rollback: Annotated[bool, NO_ROLLBACK] = False,
    wait: Wait = WAIT_S,
    topology: TopologyFile = HERE,
    as_json: AsJson = False,
) -> None:
    """Do what `sipmesh topology plan` shows: issue certificates, publish, wait, and verify with real links.

    Each link is probed from the server that opens it: by this command where the key of that server is here, else by the server
    itself, which management asks. If the verification fails, the content of the version before is published again.

    Exit codes: 0 if the version is in force and verified, 1 otherwise.
    """
    place = Place(topology)
    planned = planned_for(place)
    if not as_json:
        say_plan(planned)
    _must_be_approved(planned)
    socket = running_management(place)
    if socket is None:
        _apply_at_rest(place, planned, why, force=force, as_json=as_json)
        return
    report = Application(place, planned, socket).run(why, wait, force=force, rolls_back=not no_rollback)
    if as_json:
        say_json(report)
    else:
        _say_report(report)
    raise typer.Exit(1 if report.faults else 0)


def _must_be_approved(planned: Planned) -> None:
    """Raise `OperatorError` if approvals are missing, before a certificate is issued; publishing checks them again."""
    if missing := [str(need) for need in planned.report.approvals if not need.is_met]:
        raise OperatorError(f"not applied: {'; '.join(missing)}; to ask operators: sipmesh topology propose")


def _apply_at_rest(place: Place, planned: Planned, why: str, *, force: bool, as_json: bool) -> None:
    """Issue and publish without a running management server: nothing runs that could be verified."""
    Certificates(place, planned).issue()
    say_rested(publish_at_rest(place, why, force=force), as_json=as_json)
    if not as_json:
        say("Nothing is verified, since no management server runs. When it runs: sipmesh topology verify", style=WARN)


class Certificates:
    """The certificates that the plan needs and this machine issues; the files from before are kept in memory."""

    def __init__(self, place: Place, planned: Planned) -> None:
        self._place, self._planned = place, planned
        self._kept: dict[Path, bytes] = {}

    def __repr__(self) -> str:
        return f"<Certificates in {self._place.folder}, {len(self._kept)} files kept>"

    def issue(self) -> Sequence[str]:
        """Issue what is missing, and return the servers. Raises `OperatorError` if the CA is on another machine."""
        names = [need.server for need in self._planned.report.certificates if need.by is IssuedBy.APPLY]
        for name in names:
            self._keep(self._planned.after, name)
            _issue(self._place, self._planned.after, name)
        return names

    def _keep(self, loaded: Loaded, name: str) -> None:
        for file in _files_of(loaded, name):
            with suppress(FileNotFoundError):
                self._kept[file] = file.read_bytes()

    def restore(self) -> Sequence[str]:
        """Write the certificates from before again, and issue for the servers whose certificates the new version has revoked.

        Returns the revoked servers whose keys are elsewhere: each needs a new request.
        """
        from sipmesh.pki import files

        for file, content in self._kept.items():
            files.write(file, content, files.SECRET if file.suffix == ".key" else files.PUBLIC)
        elsewhere = []
        for name in self._planned.report.revoked:
            if any(file.exists() for file in _files_of(self._planned.before, name)):
                _issue(self._place, self._planned.before, name)
            else:
                elsewhere.append(name)
        return elsewhere


def _issue(place: Place, loaded: Loaded, name: str) -> None:
    from sipmesh.server.management.issuing import issue_for

    issued = issue_for(loaded, place.ca(), name, datetime.now(UTC)).certificate
    note(place, AuditAct.ISSUE, server=name, serial=f"{issued.serial_number:x}")


def _files_of(loaded: Loaded, name: str) -> Sequence[Path]:
    pool = loaded.topology.pool_of(name)
    server = next((one for one in pool.servers if one.name == name), None) if pool is not None else None
    if server is None:
        return ()
    names = [server.certificate_file, server.key_file, server.signer_certificate_file, server.signer_key_file]
    return [loaded.folder / name for name in names]


class Application:
    """One plan that is carried out with a running management server behind *socket*."""

    def __init__(self, place: Place, planned: Planned, socket: Path) -> None:
        self._place, self._planned, self._socket = place, planned, socket
        self._certificates = Certificates(place, planned)

    def __repr__(self) -> str:
        return f"<Application of {self._planned.report.digest[:12]} in {self._place.folder}>"

    def run(self, why: str, wait: float, *, force: bool, rolls_back: bool) -> ApplyReport:
        """Carry the plan out. Raises `OperatorError` if nothing is published; then the certificates are as before."""
        plan = self._planned.report
        needed = [need.server for need in plan.certificates if need.by is IssuedBy.APPLY]
        touched = touched_by(self._planned.before, self._planned.after, needed, plan.links_appear)
        wanted = checks_for(self._planned.after, plan.links_appear, touched)
        known = set(checks_for(self._planned.before, (), touched))
        before = self._probe([check for check in wanted if check in known])
        members = self._members()
        report = ApplyReport(plan.base, issued=self._issued(why, force=force))
        report.version = self._publish(why, force=force)
        try:
            self._wait(report, wait)
            self._verify(report, self._runnable(wanted, report.new), before, members)
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
        plan = self._planned.report
        if plan.dangers and not force:
            sentences = "; ".join(plan.dangers)
            raise OperatorError(
                f"not applied, since {why!r} would break something: {sentences}; --force does it all the same"
            )
        return self._certificates.issue()

    def _publish(self, why: str, *, force: bool) -> int:
        from sipmesh.server.management.replies import PUBLISH

        plan, draft = self._planned.report, self._place.file.name
        given = {"why": why, "draft": draft, "base": plan.base, "digest": plan.digest, "force": force}
        try:
            published = ask_one(self._socket, PUBLISH, **given)
        except SipmeshError:
            self._certificates.restore()
            raise
        reload(self._place, links_of(self._place))  # servers read their new certificates
        return published.version

    def _wait(self, report: ApplyReport, wait: float) -> None:
        from sipmesh.server.management.replies import ACKNOWLEDGED

        held = ask_one(self._socket, ACKNOWLEDGED, wait + 5, version=report.version, wait_s=wait)
        report.missing, report.new = held.missing, held.new
        report.faults += [f"{name} has not confirmed the version within {wait:g} s" for name in held.missing]

    def _members(self) -> Sequence[MemberReply]:
        from sipmesh.server.management.replies import NETWORK

        return ask_one(self._socket, NETWORK).servers

    def _runnable(self, wanted: Sequence[Check], new: Collection[str]) -> list[Check]:
        """Leave out what cannot work yet: servers that have not started, or listen elsewhere until they are restarted."""
        waiting = {*new, *(line.partition(" ")[0] for line in self._planned.report.restarts)}
        return [check for check in wanted if not {check.opener, check.target.rpartition(":")[0]} & waiting]

    def _verify(
        self, report: ApplyReport, checks: list[Check], before: Sequence[Checked], members: Sequence[MemberReply]
    ) -> None:
        report.checks = self._probe(checks)
        failed = broken(before, report.checks)
        if failed:
            time.sleep(SETTLE_S)
            again = {result.check: result for result in self._probe([result.check for result in failed])}
            report.checks = [again.get(result.check, result) for result in report.checks]
        report.faults += [f"{result.check}: {result.told}" for result in broken(before, report.checks)]
        report.faults += worse_reports(members, self._members())

    def _probe(self, checks: Sequence[Check]) -> list[Checked]:
        return run_checks(self._place, checks[:MOST_CHECKS], self._socket)

    def _roll_back(self, report: ApplyReport, why: str) -> None:
        from sipmesh.server.management.replies import ACKNOWLEDGED, ROLLBACK

        base, reason = self._planned.report.base, f"version {report.version} ({why}) has failed its verification"
        published = ask_one(self._socket, ROLLBACK, version=base, why=reason, base=report.version, force=True)
        report.rolled_back = published.version
        elsewhere = self._certificates.restore()
        reload(self._place, links_of(self._place))
        report.faults += [f"{name} stays revoked; on its machine: sipmesh join request {name}" for name in elsewhere]
        ask_one(self._socket, ACKNOWLEDGED, WAIT_S + 5, version=published.version, wait_s=WAIT_S)


SETTLE_S = 0.5
"""A link that fails is probed once more after this: a server may just be moving its links to a new certificate."""


def _say_report(report: ApplyReport) -> None:
    say(f"Version {report.version} is published.", style=GOOD)
    if report.issued:
        say(f"Issued for {', '.join(report.issued)}.")
    if report.new:
        say(f"Not started yet, and not verified: {', '.join(report.new)}. Then: sipmesh topology verify", style="dim")
    say_checks(report.checks)
    for fault in report.faults:
        say(f"  FAILED: {fault}", style=BAD)
    if report.rolled_back:
        say(
            f"Version {report.rolled_back} has the content from before. The draft stays as it is: correct it.",
            style=WARN,
        )
    elif report.faults:
        say(
            f"Version {report.version} stays in force. To go back: sipmesh topology rollback {report.base}",
            style=WARN,
        )
    else:
        say("The verification has passed.", style=GOOD)
