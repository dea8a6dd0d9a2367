"""A group of commands whose modules are imported when one of them runs: `--help` needs only their names and one line each."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from importlib import import_module
from typing import Any, ClassVar, Final

import typer
from typer.core import TyperCommand, TyperGroup

_LISTS: Final = "sipmesh.lists"
"""The key in the values of a context which says that its commands are only listed."""


class DeferredCommand(TyperCommand):
    """The name and the help of a command or a group that is not imported yet; *load* makes it."""

    def __init__(self, name: str, help_line: str, load: Callable[[], TyperCommand | TyperGroup]) -> None:
        super().__init__(name, help=help_line)
        self._load = load

    @cached_property
    def loaded(self) -> TyperCommand | TyperGroup:
        """The command itself, which is imported and made once."""
        made = self._load()
        made.name = self.name
        return made


def deferred_command(name: str, help_line: str, module: str) -> DeferredCommand:
    """Give the command *name*, which is the function of that name in *module*."""

    def load() -> TyperCommand:
        app = typer.Typer(add_completion=False)
        app.command(name)(getattr(import_module(module), name))
        made = typer.main.get_command(app)
        assert isinstance(made, TyperCommand)  # noqa: S101 - what typer makes of a function without a class
        return made

    return DeferredCommand(name, help_line, load)


def deferred_group(name: str, help_line: str, app: Callable[[], typer.Typer]) -> DeferredCommand:
    """Give the group *name*; *app* imports its commands, and is called once."""
    return DeferredCommand(name, help_line, lambda: typer.main.get_group(app()))


class LazyGroup(TyperGroup):
    """A group with the commands of typer, and behind them those of *deferred*."""

    deferred: ClassVar[tuple[DeferredCommand, ...]] = ()

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        for command in self.deferred:
            self.add_command(command)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Return the command *cmd_name*, imported unless *ctx* only lists the commands; None if there is none."""
        command = super().get_command(ctx, cmd_name)
        return command.loaded if isinstance(command, DeferredCommand) and not ctx.meta.get(_LISTS) else command

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the help, for which no command is imported."""
        ctx.meta[_LISTS] = True
        super().format_help(ctx, formatter)
