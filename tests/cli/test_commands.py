"""The list of all commands: its lines are those of the commands, and it costs no import."""

from __future__ import annotations

import subprocess
import sys

import pytest

from cli.world import environment
from sipmesh.cli.commands import COMMANDS, load_all
from sipmesh.cli.lazy_group import DeferredCommand

LOADED_BY_HELP = """
import sys
from sipmesh.cli.main import main
try:
    main(["--help"])
except SystemExit:
    print(sorted({"pydantic", "cryptography", "sqlalchemy", "ruamel", "OpenSSL", "asyncio"} & sys.modules.keys()))
"""


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.name)
def test_line_of_help_is_that_of_the_command(command: DeferredCommand) -> None:
    own = (command.loaded.help or "").partition("\n\n")[0]
    assert command.help == " ".join(own.split())
    assert command.loaded.name == command.name


def test_help_imports_no_command() -> None:
    told = subprocess.run(
        [sys.executable, "-c", LOADED_BY_HELP], capture_output=True, text=True, check=True, env=environment()
    )
    assert told.stdout.splitlines()[-1] == "[]"


def test_all_commands_can_be_imported_at_once() -> None:
    load_all()
    assert all("loaded" in vars(command) for command in COMMANDS)


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.name)
def test_default_of_each_option_is_within_its_range(command: DeferredCommand) -> None:
    """Else the command is refused unless the option is given, as a trace without an end was."""
    waiting = [command.loaded]
    while waiting:
        one = waiting.pop()
        waiting.extend(getattr(one, "commands", {}).values())
        for option in one.params:
            least = getattr(option, "min", None)
            if least is not None and isinstance(option.default, int | float):
                assert option.default >= least, (one.name, option.name)
