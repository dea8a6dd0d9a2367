"""`sipmesh audit`: every change of trust, with its operator and its time; a hash chain shows a changed line."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Final

import typer

from sipmesh.cli.instants import instant
from sipmesh.cli.output import GOOD, cell, plural, say, say_json, say_json_lines, show, table
from sipmesh.cli.place import HERE, AsJson, Place, TopologyFile
from sipmesh.cli.topology.publish import management_db_of
from sipmesh.errors import OperatorError, Problem
from sipmesh.sip.text import is_digits
from sipmesh.storage.audit_act import AuditAct
from sipmesh.trust.formatting import tell_value

LONGEST_NUMBER: Final = 15

app = typer.Typer(
    help="The audit log: each change of trust, by whom and when.", no_args_is_help=False, invoke_without_command=True
)


@app.callback()
def read(
    context: typer.Context,
    *,
    since: Annotated[
        str,
        typer.Option(
            metavar="WHEN",
            help="Only the lines after this number (25), within this time (7d, 12h, 30m), or from this day on.",
        ),
    ] = "",
    by: Annotated[
        str, typer.Option("--by", metavar="NAME", help="Only the lines of operators with this in their name.")
    ] = "",
    action: Annotated[
        AuditAct | None, typer.Option("--action", help="Only the lines of this kind.", show_choices=True)
    ] = None,
    topology: TopologyFile = HERE,
    as_json: AsJson = False,
) -> None:
    """Show the audit log. With --json each line is a JSON object."""
    if context.invoked_subcommand is not None:
        return
    number, begin = _beginning(since)
    lines = [
        line
        for line in management_db_of(Place(topology)).audit.read(number)
        if (begin is None or line.at >= begin) and by in line.who and action in {None, line.act}
    ]
    if as_json:
        say_json_lines(line.to_json() for line in lines)
        return
    made = table("", "line", "at", "by", "what", "about")
    for line in lines:
        about = ", ".join(f"{key}: {tell_value(value)}" for key, value in line.about.items())
        made.add_row(*map(cell, (line.seq, f"{line.at:%Y-%m-%d %H:%M:%S}Z", line.who, line.act, about)))
    show(made)


def _beginning(since: str) -> tuple[int, datetime | None]:
    """Read *since*: the number of the last line that is not wanted, and from when on lines are. Raises `OperatorError`."""
    if is_digits(since) and len(since) <= LONGEST_NUMBER:
        return int(since), None
    if not since:
        return 0, None
    try:
        return 0, instant(since, datetime.now(UTC))
    except OperatorError:
        wanted = "the number of a line, a time such as 7d or 12h, or a day such as 2026-11-30"
        raise OperatorError(f"--since needs {wanted}, and not {since}") from None


@app.command()
def verify(*, topology: TopologyFile = HERE, as_json: AsJson = False) -> None:
    """Check that no line was changed, removed or inserted, and that each version has the hash of its audit line."""
    management_db = management_db_of(Place(topology))
    faults = list(management_db.history.verify())
    if as_json:
        say_json({"ok": not faults, "faults": faults})
        if faults:
            raise typer.Exit(1)
        return
    if faults:
        remedy = "restore the file from a backup, and find out which user or program changed it"
        where = Place(topology).folder / "management.db"
        raise OperatorError("the audit log was changed", tuple(Problem(where, 0, "", why, remedy) for why in faults))
    say(
        f"The audit log is intact: {plural(len(management_db.audit.read()), 'line')}, and each carries the hash of the line "
        "before.",
        style=GOOD,
    )
