"""The program `sipmesh`, and the one place where its errors are printed."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import NoReturn

from sipmesh.cli.serving import Serving
from sipmesh.errors import NotLeadingError, SipmeshError
from sipmesh.trust.verdict import LinkRefused

OK, FAILED = 0, 1
"""Exit codes; typer itself exits with 2 if the command line is wrong."""


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run one command, and exit with its exit code."""
    given = sys.argv[1:] if arguments is None else list(arguments)
    try:
        _run(given)
    except Exception as wrong:  # noqa: BLE001 - a traceback may quote text from others
        _report(wrong, given)
        sys.exit(FAILED)
    sys.exit(OK)


def _run(arguments: list[str]) -> None:
    serving = Serving.read(arguments)
    if serving is not None:
        serving.run()
        return
    from sipmesh.cli.app import command

    command()(arguments, prog_name="sipmesh")


def _report(wrong: Exception, arguments: list[str]) -> None:
    from sipmesh.cli.leader import say_where_to_run
    from sipmesh.cli.output import report, report_fault, say_verdict

    if isinstance(wrong, LinkRefused):
        say_verdict(wrong.verdict, error=True)
    elif isinstance(wrong, SipmeshError):
        report(wrong)
        if isinstance(wrong, NotLeadingError):
            say_where_to_run(wrong.leader, arguments)
    elif isinstance(wrong, OSError):
        where = f"{wrong.filename}: " if wrong.filename else ""
        told = (
            wrong.strerror or str(wrong) or "a step took too long; run the command again when this machine is less busy"
        )
        report(SipmeshError(f"{where}{told}"))
    elif (
        unfit := getattr(wrong, "context", None)
    ) and "remedy" in unfit:  # a name that `topology.document.names` refuses
        report(SipmeshError(f"{unfit['reason']}; {unfit['remedy']}"))
    else:
        report_fault()
