"""A command is imported when it runs or is documented, and not when it is listed."""

from __future__ import annotations

import pytest
import typer
from typer.testing import CliRunner

from sipmesh.cli.lazy_group import LazyGroup, deferred_command, deferred_group

MODULE = "sipmesh.cli.organisation.drain"


class Recorded:
    """A group that notes each time it is made."""

    def __init__(self) -> None:
        self.made = 0

    def app(self) -> typer.Typer:
        self.made += 1
        app = typer.Typer(help="Colours.")
        app.command("red")(lambda: typer.echo("red it is"))
        app.command("blue")(lambda: typer.echo("blue it is"))
        return app


@pytest.fixture(name="recorded")
def _recorded() -> Recorded:
    return Recorded()


@pytest.fixture(name="app")
def _app(recorded: Recorded) -> typer.Typer:
    class Group(LazyGroup):
        deferred = (
            deferred_group("colour", "Colours.", recorded.app),
            deferred_command("drain", "Drain a server.", MODULE),
        )

    app = typer.Typer(cls=Group, no_args_is_help=True, add_completion=False)
    app.callback()(lambda: None)
    return app


@pytest.mark.parametrize("words", [(), ("--help",), ("colr",)])
def test_list_of_commands_imports_none(app: typer.Typer, recorded: Recorded, words: tuple[str, ...]) -> None:
    told = CliRunner().invoke(app, list(words))
    assert "colour" in told.output
    assert recorded.made == 0


def test_command_is_made_once_and_runs(app: typer.Typer, recorded: Recorded) -> None:
    for colour in ("red", "blue"):
        assert CliRunner().invoke(app, ["colour", colour]).output == f"{colour} it is\n"
    assert recorded.made == 1


def test_help_of_a_command_is_its_own(app: typer.Typer) -> None:
    told = CliRunner().invoke(app, ["drain", "--help"]).output
    assert "--topology" in told
    assert "Drain a server that runs on this machine" in told


def test_unknown_command_is_answered_with_the_nearest(app: typer.Typer) -> None:
    told = CliRunner().invoke(app, ["drian"])
    assert told.exit_code == 2
    assert "Did you mean 'drain'?" in told.output
