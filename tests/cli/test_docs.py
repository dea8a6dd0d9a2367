"""The documentation says what is: its commands exist, its files exist, its tables are whole."""

import re
import shlex
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

import sipmesh
from cli.world import sipmesh as command
from sipmesh.transport.limits import Limits, reasons
from sipmesh.trust.code import Code
from support.checkout import ROOT

PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
GROUPS = ("topology", "ca", "console", "user", "partner", "join", "management", "group", "directory")


def fenced(page: Path) -> Iterator[str]:
    """The lines of every shell block."""
    for block in re.findall(r"```sh\n(.*?)```", page.read_text(), re.DOTALL):
        yield from (line.strip() for line in block.splitlines())


@cache
def options_of(*name: str) -> frozenset[str]:
    helped = command(*name, "--help")
    assert helped.code == 0, f"there is no command {' '.join(name)}"
    return frozenset(re.findall(r"--[a-z][a-z0-9-]*|(?<= )-[a-z]\b", helped.out))


def test_every_verdict_code_is_documented_once() -> None:
    """An operator who meets a code has to find it, with what was wanted and what to do."""
    rows = re.findall(
        r"^\| `([a-z-]+)` \|(.+)\|(.+)\|(.+)\|$", (ROOT / "docs/reference/verdicts.md").read_text(), re.MULTILINE
    )
    assert sorted(row[0] for row in rows) == sorted(Code)
    assert all(cell.strip() for row in rows for cell in row)


def test_every_limit_is_documented() -> None:
    rows = re.findall(r"^\| `([a-z_]+)` \| [0-9.,]+ \|", (ROOT / "docs/reference/limits.md").read_text(), re.MULTILINE)
    assert rows == list(reasons())


def between(page: str, begin: str, end: str) -> str:
    """What stands between two comments of a page."""
    return (ROOT / page).read_text().partition(f"<!-- {begin}")[2].partition(f"<!-- {end}")[0]


def test_drawn_tree_has_every_package_and_no_other() -> None:
    home = Path(sipmesh.__file__).parent
    drawn, parents = [], [""]
    for indent, name in re.findall(
        r"^((?:  )+)([a-z0-9_]+)/ ", between("docs/architecture.md", "tree", "end of tree"), re.MULTILINE
    ):
        depth = len(indent) // 2
        parents[depth:] = [f"{parents[depth - 1]}{name}/"]
        drawn.append(parents[depth])
    there = [
        f"{path.parent.relative_to(home).as_posix()}/" for path in home.rglob("__init__.py") if path.parent != home
    ]
    assert sorted(drawn) == sorted(there)


def test_drawn_import_order_is_that_of_the_contract() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    layers = next(one["layers"] for one in contracts if one["name"] == "Imports point down")
    drawn = between("docs/architecture.md", "layers", "end of layers").partition("```text\n")[2].partition("\n```")[0]
    assert drawn.splitlines() == [layer.replace("sipmesh.", "") for layer in layers]


def test_every_file_that_implements_a_standard_exists_with_its_test() -> None:
    rows = re.findall(
        r"^\| RFC[^|]+\|[^|]+\|([^|]+)\|([^|]+)\|$", (ROOT / "docs/reference/standards.md").read_text(), re.MULTILINE
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
def test_every_table_is_whole(page: Path) -> None:
    """A row behind an empty line is shown as text with strokes."""
    text = re.sub(r"^ *```.*?^ *```$", "", page.read_text(), flags=re.DOTALL | re.MULTILINE)
    assert re.findall(r"(?<=\n\n)\|.*\n(?!\| ?:?-)", text) == []


@each_page
def test_every_source_file_that_a_page_names_is_there(page: Path) -> None:
    """A page names a file from the root, from src/sipmesh or from tests."""
    named = re.findall(r"`([a-z_]+/[a-z0-9_/]+\.py)`", page.read_text())
    homes = [ROOT, ROOT / "src/sipmesh", ROOT / "tests"]
    assert [name for name in named if not any((home / name).is_file() for home in homes)] == []


@each_page
def test_every_command_can_be_typed(page: Path) -> None:
    for line in fenced(page):
        words = shlex.split(line, comments=True)
        if not words or words[0] != "sipmesh":
            continue
        name = words[1:3] if words[1] in GROUPS else words[1:2]
        name = (
            words[1:4]
            if name in (["ca", "root"], ["topology", "add"], ["topology", "dns"], ["user", "rules"])
            else name
        )
        name = name if not name[-1].startswith("-") else name[:-1]
        assert {word for word in words if word.startswith("-")} <= options_of(*name), line


@each_page
def test_commands_in_the_text_exist(page: Path) -> None:
    for words in re.findall(r"`sipmesh ([a-z]+(?: [a-z]+)?)", page.read_text()):
        first, _, second = words.partition(" ")
        options_of(*((first, second) if first in GROUPS and second else (first,)))


def test_the_unit_starts_the_command_as_it_is() -> None:
    unit = (ROOT / "packaging/systemd/sipmesh@.service").read_text()
    (started,) = re.findall(r"^ExecStart=(.+)$", unit, re.MULTILINE)
    words = shlex.split(started)
    assert words[1:3] == ["serve", "%i"]
    assert {word for word in words if word.startswith("-")} <= options_of("serve")
    assert "User=sipmesh" in unit


def test_the_unit_gives_a_server_the_time_that_it_takes_to_stop() -> None:
    """Systemd kills a server that has not ended by then."""
    unit = (ROOT / "packaging/systemd/sipmesh@.service").read_text()
    (seconds,) = re.findall(r"^TimeoutStopSec=(\d+)$", unit, re.MULTILINE)
    assert Limits().stop_s + Limits().drain_s <= 15 < int(seconds)
