"""A wrong value, or a wrong file, at any command: the error is a sentence of sipmesh, without the text of a library.

The commands are those of the program: a new command is tried without a line here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from cli.world import Organisation, sipmesh
from sipmesh.cli.app import app

STAY = {("demo",), ("serve",)}
"""These run until they are stopped."""

FOREIGN = re.compile(
    r"pydantic|Input should|Value error|validation error|asn\.?1|ParseError|error parsing|configparser|sqlalchemy|sqlite3\.|"
    r"\bErrno\b|Traceback|a bug in sipmesh|codec can't|NoNameservers|NXDOMAIN|dns\.\w+\.|\w+Error:|<class|object at 0x|"
    r"Expecting |Extra data|Unable to load|Could not deserialize|while parsing|did not find expected|invalid start byte",
    re.IGNORECASE,
)
WORDS = (
    "",
    "no such",
    "http://[",
    "*",
    "x" * 300,
    "-1",
    "1e99",
    "\u00e9.test",
    "a@b@c",
    "127.0.0.1:99999",
    "127.0.0.1:9",  # refuses
    "nosuch@example.com",
    "fe1.example.com",
)


def commands(command: Any, *path: str) -> Iterator[tuple[tuple[str, ...], Any]]:
    if not hasattr(command, "list_commands"):
        yield path, command
        return
    if command.invoke_without_command and path:
        yield path, command
    context = typer.Context(command)
    for name in command.list_commands(context):
        yield from commands(command.get_command(context, name), *path, name)


ALL = {path: command for path, command in commands(typer.main.get_command(app)) if path not in STAY}


def wrong_files(folder: Path) -> list[str]:
    """Files of every kind that no command wants, a folder, and a file that is not there."""
    contents = {
        "octets.pem": bytes(range(256)),
        "damaged.pem": b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
        "cut.json": b'{"a": [1,2',
        "other.json": b'{"a": 1}',
        "cut.yaml": b"a: [1\n b: {",
        "type.yaml": b"sipmesh: 1\norganisation: [1]\nsip_domains: 7\npools: {a: [b]}\n",
        "cut.csv": b'[x\n"y"1=\n%',
        "empty": b"",
    }
    folder.mkdir()
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    return [*(str(folder / name) for name in contents), str(folder), str(folder / "none")]


def lines(command: Any, wrong: list[str]) -> Iterator[list[str]]:
    """What is typed after the name of *command*: possible values, and then each parameter in turn with a wrong one."""
    arguments = [one for one in command.params if type(one).__name__ == "TyperArgument"]
    options = [one for one in command.params if type(one).__name__ == "TyperOption" and not one.is_flag]
    usual = [wrong[1] if "FILE" in str(one.metavar) else "x.example.com" for one in arguments]
    required = {
        one.opts[0]: wrong[1] if "FILE" in str(one.metavar) else "x.example.com" for one in options if one.required
    }
    needed = [text for pair in required.items() for text in pair]
    yield [*usual, *needed]
    for place in range(len(arguments)):
        for value in (*wrong, *WORDS):
            yield [*usual[:place], value, *usual[place + 1 :], *needed]
    for one in options:
        others = [text for pair in required.items() if pair[0] != one.opts[0] for text in pair]
        for value in wrong if "FILE" in str(one.metavar) or one.name == "topology" else (wrong[0], *WORDS):
            yield [*usual, *others, one.opts[0], value]


@pytest.mark.wide
@pytest.mark.timeout(900)
@pytest.mark.parametrize("path", list(ALL), ids=" ".join)
def test_error_of_a_command_has_no_text_of_a_library(
    organisation: Organisation, tmp_path: Path, path: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # some wrong values are names of folders that a command may make
    wrong = wrong_files(tmp_path / "wrong")
    for typed in lines(ALL[path], wrong):
        result = sipmesh(*path, *typed, topology=organisation.file)
        found = FOREIGN.search(result.err)
        assert found is None, f"{' '.join(path)} {typed}: {result.err}"
        assert result.code == 0 or result.err.strip() or result.out.strip(), typed
