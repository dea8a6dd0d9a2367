"""Options that several commands share are declared once, and each command has them all."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from typer.testing import CliRunner

from sipmesh.cli.client.options import ClientOptions, client_command


def run(*arguments: str) -> list[object]:
    """Run a command with an argument and an option of its own, and return what it got."""
    got: list[object] = []

    @client_command
    def send(
        to: Annotated[str, typer.Argument()], *, options: ClientOptions, times: Annotated[int, typer.Option()] = 1
    ) -> None:
        """Send it."""
        got.extend((to, times, options))

    app = typer.Typer()
    app.command()(send)
    result = CliRunner().invoke(app, arguments)
    return got or [result.exit_code, result.output]


def test_command_gets_its_own_options_and_those_of_every_client_command() -> None:
    shared = ("--password-stdin", "--server", "fe1:5061", "--ca", "a.pem", "--ca", "b.pem", "--topology", "t.yaml")
    assert run("bob", "--as", "alice", "--times", "2", *shared, "--json") == [
        *("bob", 2),
        ClientOptions("alice", True, "fe1:5061", [Path("a.pem"), Path("b.pem")], Path("t.yaml"), True),  # noqa: FBT003
    ]


def test_only_the_user_is_required() -> None:
    assert run("bob", "--as", "alice") == ["bob", 1, ClientOptions("alice")]
    code, output = run("bob")
    assert code == 2
    assert "--as" in str(output)


def test_help_of_the_command_is_its_docstring() -> None:
    code, output = run("--help")
    assert code == 0
    assert "Send it." in str(output)
