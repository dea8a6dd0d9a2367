"""The command `sipmesh`: its groups, and the one place where errors are printed."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from sipmesh.cli.commands import COMMANDS
from sipmesh.cli.lazy_group import LazyGroup
from sipmesh.cli.leader import say_where_to_run
from sipmesh.cli.output import console, report, report_fault, say, say_verdict
from sipmesh.errors import NotLeadingError, SipmeshError
from sipmesh.trust.verdict import LinkRefused

OK, FAILED = 0, 1
"""Exit codes; typer itself exits with 2 if the command line is wrong."""


class _Commands(LazyGroup):
    deferred = COMMANDS


app = typer.Typer(
    name="sipmesh",
    cls=_Commands,
    help="SIP servers that trust each other by certificate and by topology.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback(invoke_without_command=True)
def _root(
    *,
    version: Annotated[
        bool, typer.Option("--version", help="Print the version of sipmesh and of its libraries.")
    ] = False,
) -> None:
    if version:
        from sipmesh.cli.versions import versions

        numbers = versions()
        width = max(map(len, numbers))
        say(*(f"{part:<{width}}  {number}" for part, number in numbers.items()))
        raise typer.Exit


@app.command()
def demo(
    *,
    keep: Annotated[bool, typer.Option("--keep", help="Leave the network running until Ctrl-C.")] = False,
    pause: Annotated[bool, typer.Option("--pause", help="Wait for the Enter key between two acts.")] = False,
    web: Annotated[
        bool,
        typer.Option(
            "--web", help="Print links to the map in the console and to two web phones, and leave it running."
        ),
    ] = False,
    findings: Annotated[
        Path | None,
        typer.Option("--findings", metavar="FILE", help="Write the full findings to this file. By default a new file."),
    ] = None,
) -> None:
    """Run a whole network on this machine, use it, and attack it.

    Each line is one result. The summary at the end names a file with the full findings: wanted and seen values, and remedies.
    """
    from sipmesh.demo.run import Wishes
    from sipmesh.demo.run import main as play

    raise typer.Exit(play(Wishes(keep, pause, web), findings=findings, console=console()))


@cache
def command() -> Callable[..., object]:
    """Make the command from its functions, once in a process."""
    return typer.main.get_command(app)


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run one command, and exit with its exit code."""
    try:
        command()(arguments, prog_name="sipmesh")
    except LinkRefused as refused:
        say_verdict(refused.verdict, error=True)
    except SipmeshError as wrong:
        report(wrong)
        if isinstance(wrong, NotLeadingError):
            say_where_to_run(wrong.leader, sys.argv[1:] if arguments is None else arguments)
    except OSError as wrong:
        where = f"{wrong.filename}: " if wrong.filename else ""
        report(SipmeshError(f"{where}{wrong.strerror or wrong}"))
    except Exception:  # noqa: BLE001 - a traceback may quote text from others
        report_fault()
    sys.exit(FAILED)
