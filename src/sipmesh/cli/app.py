"""The command `sipmesh` with its options and groups."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Annotated, Any

import typer

from sipmesh.cli.commands import COMMANDS
from sipmesh.cli.lazy_group import LazyGroup
from sipmesh.cli.output import console, say
from sipmesh.cli.usage import in_our_words


class _Commands(LazyGroup):
    """All commands. An error in the value of a parameter gets a text of sipmesh, not of a library."""

    deferred = COMMANDS

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except typer.BadParameter as wrong:
            in_our_words(wrong)
            raise


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
