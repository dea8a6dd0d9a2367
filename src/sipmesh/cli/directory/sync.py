"""`sipmesh directory plan` and `apply`: what a sync would change, and the sync."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Final

import typer

from sipmesh.cli.control_client import ask_one, links_of, reload, say_reloaded, tell_users_changed
from sipmesh.cli.directory.opened import opened
from sipmesh.cli.management_socket import running_management
from sipmesh.cli.output import BAD, GOOD, WARN, cell, plural, say, say_json, show, table
from sipmesh.cli.place import HERE, AsJson, Place, TopologyFile
from sipmesh.errors import OperatorError
from sipmesh.server.management.replies import DIRECTORY_ACCEPT
from sipmesh.storage.users.account_report import shown_name

if TYPE_CHECKING:
    from sipmesh.server.directory.comparison import Conflict
    from sipmesh.server.directory.sync import Looked
    from sipmesh.storage.users.directory_entry import DirectoryStep

app = typer.Typer(help="Users from your LDAP directory, Active Directory, or SCIM clients.", no_args_is_help=True)

MOST_SHOWN: Final = 50
"""Steps and conflicts that are printed; `--json` has all."""


@dataclass(frozen=True, slots=True)
class StepReport:
    """One step as ``sipmesh directory plan --json`` prints it."""

    kind: str
    user: str
    details: str


@dataclass(frozen=True, slots=True)
class PlanReport:
    """What a sync would change, and the conflicts; *refused* says why it needs an operator."""

    server: str
    entries: int
    steps: Sequence[StepReport]
    conflicts: Sequence[Conflict]
    unusable: Mapping[str, str]
    faults: Sequence[str]
    refused: str


@app.command()
def plan(*, topology: TopologyFile = HERE, as_json: AsJson = False) -> None:
    """Read the directory, and show what a sync would change. Nothing is changed.

    Exit code 1: the sync would be refused, because too many users would lose their access.
    """
    place = Place(topology)
    with opened(place) as sync:
        looked = sync.look(datetime.now(UTC))
    if as_json:
        say_json(_report(looked))
    else:
        _say(looked)
    if looked.refused:
        raise typer.Exit(1)


@app.command()
def apply(
    *,
    accept_loss: Annotated[
        bool,
        typer.Option(
            "--accept-loss",
            help="Also if more users lose their access than `most_loss` permits; SCIM clients may do so for one hour.",
        ),
    ] = False,
    topology: TopologyFile = HERE,
) -> None:
    """Sync now, as the management server does every 20 seconds. What a sync that ended early has left is finished too."""
    place = Place(topology)
    before, at = links_of(place), datetime.now(UTC)
    with opened(place) as sync, sync.alone():
        looked = sync.look(at)
        taken = sync.take(looked, at, accept_loss=accept_loss)
    if accept_loss and place.in_force().topology.scim is not None:
        _accept(place)
    tell_users_changed(place)
    if taken.revoked:
        say(f"{plural(taken.revoked, 'certificate')} of devices revoked.", style=GOOD)
        say_reloaded(reload(place, before, changed_only=True))
    done = ", ".join(f"{count} {kind}" for kind, count in taken.steps.items())
    say(f"Synced with {looked.server}: {done or 'no change'}.", style=GOOD)
    _say_conflicts(taken.conflicts, looked)


def _accept(place: Place) -> None:
    """Let SCIM clients send again what was refused."""
    socket = running_management(place)
    if socket is None:
        raise OperatorError("no management server runs here, to which SCIM clients write; start it: sipmesh serve NAME")
    ask_one(socket, DIRECTORY_ACCEPT)
    say("For one hour, SCIM clients may end the access of any number of users.", style=WARN)


def _say(looked: Looked) -> None:
    entries = plural(len(looked.answer.entries), "user")
    say(f"{looked.server} has {entries} for us.", style="bold")
    steps = looked.comparison.steps
    if steps:
        made = table("A sync would change", "", "user", "")
        for step in steps[:MOST_SHOWN]:
            made.add_row(cell(str(step.kind)), cell(step.aor.removeprefix("sip:")), cell(details_of(step)))
        show(made)
        if len(steps) > MOST_SHOWN:
            say(f"and {len(steps) - MOST_SHOWN} more: sipmesh directory plan --json", style="dim")
    else:
        say("A sync would change nothing.", style=GOOD)
    _say_conflicts(looked.comparison.conflicts, looked)
    if looked.refused:
        say(f"Refused: {looked.refused}.", "  → if this is right: sipmesh directory apply --accept-loss", style=BAD)


def _say_conflicts(conflicts: Sequence[Conflict], looked: Looked) -> None:
    for one in conflicts[:MOST_SHOWN]:
        say(f"{one.user}: {one.reason}", f"  → {one.remedy}", style=WARN)
    for unusable in list(looked.answer.unusable.values())[:MOST_SHOWN]:
        say(f"{unusable.dn}: {unusable.reason}", style=WARN)
    say(*(f"{user}: {reason}" for user, reason in looked.answer.faults[:MOST_SHOWN]), style=WARN)


def details_of(step: DirectoryStep) -> str:
    """Say what a step changes, besides what its kind says."""
    given = {
        "was": step.changed[0].removeprefix("sip:") if len(step.changed) > 1 else "",
        "in the directory": step.ended_by,
        "with": ", ".join(map(shown_name, step.adds)),
        "without": ", ".join(map(shown_name, step.drops)),
        "pool": step.pool or "",
    }
    return "; ".join(f"{name} {value}" for name, value in given.items() if value)


def _report(looked: Looked) -> PlanReport:
    steps = [
        StepReport(str(step.kind), step.aor.removeprefix("sip:"), details_of(step)) for step in looked.comparison.steps
    ]
    unusable = {one.dn: one.reason for one in looked.answer.unusable.values()}
    answer, conflicts = looked.answer, looked.comparison.conflicts
    faults = [f"{user}: {reason}" for user, reason in answer.faults]
    return PlanReport(looked.server, len(answer.entries), steps, conflicts, unusable, faults, looked.refused)
