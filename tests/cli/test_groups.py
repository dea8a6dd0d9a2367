"""Each group has the commands of all its modules."""

from __future__ import annotations

import pytest
from typer.core import TyperGroup

from sipmesh.cli.commands import COMMANDS

OF_OTHER_MODULES = {
    "topology": {
        "add",
        "apply",
        "approve",
        "dns",
        "draft",
        "import",
        "plan",
        "publish",
        "rollback",
        "simulate",
        "verify",
    },
    "ca": {"inventory", "protect", "root"},
    "user": {"alias", "disable", "enable", "export", "presence"},
    "partner": {"change", "probe", "remove", "unblock"},
}


@pytest.mark.parametrize("name", OF_OTHER_MODULES)
def test_group_has_the_commands_of_all_its_modules(name: str) -> None:
    (group,) = (command.loaded for command in COMMANDS if command.name == name)
    assert isinstance(group, TyperGroup)
    assert group.commands.keys() > OF_OTHER_MODULES[name]


@pytest.mark.parametrize("name", ["audit", "console", "join", "management"])
def test_group_of_one_module_has_its_commands(name: str) -> None:
    (group,) = (command.loaded for command in COMMANDS if command.name == name)
    assert isinstance(group, TyperGroup)
    assert group.commands or group.invoke_without_command
