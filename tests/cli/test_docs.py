"""The documentation says what is: its commands exist, its files exist, its tables are whole."""

import re
import shlex
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

import sipmesh
from cli.world import sipmesh as command
from sipmesh.transport.limits import reasons
from sipmesh.trust.code import Code
from support.checkout import ROOT

PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").glob("*.md")])
each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
GROUPS = ("topology", "ca", "user", "partner", "join")


def fenced(page: Path) -> Iterator[str]:
    """The lines of every shell block."""
    for block in re.findall(r"```sh\n(.*?)```", page.read_text(), re.DOTALL):
        yield from (line.strip() for line in block.splitlines())


@cache
def options_of(*name: str) -> frozenset[str]:
    helped = command(*name, "--help")
    assert helped.code == 0, f"there is no command {' '.join(name)}"
    return frozenset(re.findall(r"--[a-z][a-z-]*|(?<= )-[a-z]\b", helped.out))


def test_every_verdict_code_is_documented_once() -> None:
    """An operator who meets a code has to find it, with what was wanted and what to do."""
    rows = re.findall(r"^\| `([a-z-]+)` \|(.+)\|(.+)\|(.+)\|$", (ROOT / "docs/verdicts.md").read_text(), re.MULTILINE)
    assert sorted(row[0] for row in rows) == sorted(Code)
    assert all(cell.strip() for row in rows for cell in row)


def test_every_limit_is_documented() -> None:
    rows = re.findall(r"^\| `([a-z_]+)` \| [0-9.,]+ \|", (ROOT / "docs/operating.md").read_text(), re.MULTILINE)
    assert rows == list(reasons())


def test_the_drawing_of_the_house_names_every_room() -> None:
    drawn = re.findall(r"^  ([a-z]+)/", (ROOT / "docs/architecture.md").read_text(), re.MULTILINE)
    home = Path(sipmesh.__file__).parent
    assert sorted(drawn) == sorted(path.parent.name for path in home.glob("*/__init__.py"))


def test_every_file_that_implements_a_standard_exists_with_its_test() -> None:
    rows = re.findall(
        r"^\| RFC[^|]+\|[^|]+\|([^|]+)\|([^|]+)\|$", (ROOT / "docs/standards.md").read_text(), re.MULTILINE
    )
    assert len(rows) > 25
    for sources, tests in rows:
        for folder, cell in (("src/sipmesh", sources), ("tests", tests)):
            named = re.findall(r"`([^`]+)`", cell)
            assert named
            assert [name for name in named if not (ROOT / folder / name).is_file()] == []


@each_page
def test_every_link_leads_somewhere(page: Path) -> None:
    targets = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text())
    assert [target for target in targets if not (page.parent / target).exists()] == []


@each_page
def test_every_command_can_be_typed(page: Path) -> None:
    for line in fenced(page):
        words = shlex.split(line, comments=True)
        if not words or words[0] != "sipmesh":
            continue
        name = words[1:3] if words[1] in GROUPS else words[1:2]
        name = words[1:4] if name == ["ca", "root"] else name
        assert {word for word in words if word.startswith("-")} <= options_of(*name), line


@each_page
def test_commands_in_the_text_exist(page: Path) -> None:
    for words in re.findall(r"`sipmesh ([a-z]+(?: [a-z]+)?)", page.read_text()):
        first, _, second = words.partition(" ")
        options_of(*((first, second) if first in GROUPS and second else (first,)))


def test_the_unit_starts_the_command_as_it_is() -> None:
    unit = (ROOT / "packaging/sipmesh@.service").read_text()
    (started,) = re.findall(r"^ExecStart=(.+)$", unit, re.MULTILINE)
    words = shlex.split(started)
    assert words[1:3] == ["serve", "%i"]
    assert {word for word in words if word.startswith("-")} <= options_of("serve")
    assert "User=sipmesh" in unit
