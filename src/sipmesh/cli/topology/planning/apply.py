"""`sipmesh topology apply`: issue, publish, wait, verify; and go back to the version before if the verification fails."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from sipmesh.cli.control_client import ask_one, links_of, reload
from sipmesh.cli.management_socket import running_management
from sipmesh.cli.output import BAD, GOOD, WARN, say, say_json
from sipmesh.cli.place import HERE, AsJson, Place, TopologyFile
from sipmesh.cli.topology.planning.plan import planned_for, say_plan
from sipmesh.cli.topology.planning.reading import ReadPlan, must_be_read
from sipmesh.cli.topology.planning.verification import run_checks, say_checks
from sipmesh.cli.topology.publish import WAIT_S, Force, Wait, publish_at_rest, say_rested
from sipmesh.cli.topology.remote_servers import note
from sipmesh.errors import LocalError, OperatorError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from sipmesh.server.control_socket import ControlCommand
    from sipmesh.server.management.publishing.application import ApplyReport
    from sipmesh.server.management.publishing.link_checks import Check, Checked
    from sipmesh.server.management.publishing.plan_report import Planned
    from sipmesh.topology.document.load import Loaded

T = TypeVar("T")

NO_ROLLBACK = typer.Option("--no-rollback", help="Keep the new version although the verification fails.")


class CommandHost:
    """The machine where the command runs, with the management server behind *socket*."""

    def __init__(self, place: Place, socket: Path | None) -> None:
        self._place, self._socket = place, socket

    @property
    def draft(self) -> str:
        """See `Host`."""
        return self._place.file.name

    def ask(self, command: ControlCommand[T], timeout_s: float, /, **given: object) -> T:
        """See `Host`."""
        if self._socket is None:
            raise LocalError("no management server runs that could be asked")
        return ask_one(self._socket, command, timeout_s, **given)

    def issue(self, loaded: Loaded, name: str) -> None:
        """See `Host`."""
        from sipmesh.server.management.issuing import issue_for

        issue_for(loaded, self._place.ca(), name, datetime.now(UTC), note=partial(note, self._place))

    def reload(self) -> None:
        """See `Host`."""
        reload(self._place, links_of(self._place))

    def probe(self, checks: Sequence[Check]) -> list[Checked]:
        """See `Host`: this machine opens the links of servers whose keys are here, and those of phones."""
        return run_checks(self._place, checks, self._socket)


def apply(
    *,
    why: Annotated[str, typer.Option("-m", "--message", metavar="WHY", help="The reason, for the history.")],
    force: Force = False,
    plan: ReadPlan = "",
    no_rollback: Annotated[bool, NO_ROLLBACK] = False,
    wait: Wait = WAIT_S,
    topology: TopologyFile = HERE,
    as_json: AsJson = False,
) -> None:
    """Do what `sipmesh topology plan` shows: issue certificates, publish, wait, and verify with real links.

    Each link is probed from the server that opens it: by this command where the key of that server is here, else by the server
    itself, which management asks. If the verification fails, the content of the version before is published again. If management
    had no contact with a server before, since it is stopped for example, that server is named and does not count.

    If operators of the console may change the draft, and may not publish it, the command asks. A script names the plan that was
    read by --plan.

    Exit codes: 0 if the version is in force and verified, 1 otherwise.
    """
    place = Place(topology)
    planned = planned_for(place)
    if not as_json:
        say_plan(planned)
    _must_be_approved(planned)
    must_be_read(planned.report, plan, force=force, asks=not as_json)
    socket = running_management(place)
    if socket is None:
        _apply_at_rest(place, planned, why, force=force, as_json=as_json)
        return
    from sipmesh.server.management.publishing.application import Application

    report = Application(CommandHost(place, socket), planned.publication).run(
        why, wait, force=force, rolls_back=not no_rollback
    )
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
    from sipmesh.server.management.publishing.application import Certificates

    Certificates(CommandHost(place, None), planned.publication).issue()
    base, digest = planned.report.base, planned.report.digest
    say_rested(publish_at_rest(place, why, base, digest, force=force), shown=True, as_json=as_json)
    if not as_json:
        say("Nothing is verified, since no management server runs. When it runs: sipmesh topology verify", style=WARN)


def _say_report(report: ApplyReport) -> None:
    say(f"Version {report.version} is published.", style=GOOD)
    if report.issued:
        say(f"Issued for {', '.join(report.issued)}.")
    if report.warning:
        say(report.warning, style=WARN)
    say_checks(report.checks)
    if report.next_steps:
        say(
            "Not verified:", *(f"  {step}" for step in report.next_steps), "  then: sipmesh topology verify", style=WARN
        )
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
