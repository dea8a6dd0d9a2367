"""The table of commands, API and console has all that there is in each of them, and a reason where one has nothing."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer

from sipmesh.cli.app import app
from sipmesh.server.console.operations import TABLE
from sipmesh.server.console.pages.forms import FORMS
from support.checkout import ROOT
from support.console import Visitor, management_with_console
from support.running import on_loop

PAGE = ROOT / "docs/reference/interfaces.md"
LOG_OUT = {"/logout"}
"""A form of each page."""


def rows() -> list[tuple[str, set[str], set[str], str]]:
    """The command, the operations, the paths of the console, and the reason of each row."""
    found = re.findall(r"^\| `sipmesh ([^`]+)` \|([^|]*)\|([^|]*)\|([^|]*)\|$", PAGE.read_text(), re.MULTILINE)
    return [
        (command, set(re.findall("`([^`]+)`", api)), set(re.findall("`([^`]+)`", console)), why.strip())
        for command, api, console, why in found
    ]


def commands(command: Any, *path: str) -> Iterator[str]:
    """The name of each command that can be typed."""
    if not hasattr(command, "list_commands"):
        yield " ".join(path)
        return
    if command.invoke_without_command and path:
        yield " ".join(path)
    context = typer.Context(command)
    for name in command.list_commands(context):  # a group imports its commands when they are asked for
        yield from commands(command.get_command(context, name), *path, name)


def test_table_has_every_command_once() -> None:
    assert sorted(command for command, *_ in rows()) == sorted(commands(typer.main.get_command(app)))


def test_table_has_every_operation_of_the_api() -> None:
    assert {path for _, api, _, _ in rows() for path in api} == {operation.path for operation in TABLE}


@on_loop
async def test_table_has_every_form_of_the_console_and_its_other_paths_are_pages(tmp_path: Path) -> None:
    named = {path for _, _, console, _ in rows() for path in console}
    forms = {form.path for form in FORMS}
    assert forms <= named
    async with management_with_console(tmp_path) as network, Visitor(network) as viewer:
        await viewer.log_in("viewer")
        answers = {path: (await viewer.get(path)).status for path in sorted(named - forms - LOG_OUT)}
    assert set(answers.values()) == {200}, answers


def test_where_the_api_or_the_console_has_nothing_the_reason_is_there() -> None:
    assert [command for command, api, console, why in rows() if not (api and console) and not why] == []
