#!/usr/bin/env python3
"""List the test files that a change touches: what has changed since the branch left main, committed or not.

Chosen are the test files that have changed, those that import a changed module, and the own test modules of the modules that
import it (--depth: over how many imports). A changed helper of the tests chooses every test that reaches it by imports, a
conftest.py every test of its folder. What a change breaks further away is found by `make test`.

Usage: changed.py [--since REVISION] [--depth N]; prints one path a line, relative to the checkout.
"""

from __future__ import annotations

import argparse
import ast
import subprocess
import sys
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent
ROOTS: Final = {"src": "src", "tests": "tests", "bench": "."}
"""Folders of Python files, each with the folder that its modules are named from."""

FOLLOWED: Final = {
    "docs": "tests/cli/test_docs.py",
    "README.md": "tests/cli/test_docs.py",
    "packaging": "tests/packaging",
}
"""Files that are not Python, and the tests that read them."""

Graph = Mapping[str, Collection[str]]
"""Files with the files that they import, or with those that import them; paths are relative to the checkout."""


def changed_since(revision: str) -> list[str]:
    """List the files that differ from where the branch left *revision*, with those that git does not track."""
    base = _git("merge-base", revision, "HEAD")[0]
    return sorted({*_git("diff", "--name-only", base), *_git("ls-files", "--others", "--exclude-standard")})


def _git(*arguments: str) -> list[str]:
    return subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()


def python_files() -> dict[str, str]:
    """Give each Python file of the checkout by the name of its module."""
    found = {}
    for folder, base in ROOTS.items():
        for file in (ROOT / folder).rglob("*.py"):
            parts = file.relative_to(ROOT / base).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = str(file.relative_to(ROOT))
    return found


def imported_names(source: str) -> Iterator[str]:
    """Give the dotted names that a module imports; of ``from a import b`` both ``a`` and ``a.b``."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def import_graph(files: Mapping[str, str]) -> Graph:
    """Read every file, and give the files that each one imports."""
    return {
        file: {files[name] for name in imported_names((ROOT / file).read_text("utf-8")) if name in files}
        for file in files.values()
    }


def reversed_graph(graph: Graph) -> Graph:
    """Give the files that import each file."""
    found = defaultdict[str, set[str]](set)
    for file, imported in graph.items():
        for one in imported:
            found[one].add(file)
    return found


def is_test(file: str) -> bool:
    """Whether pytest collects tests from a file."""
    return file.startswith("tests/") and Path(file).name.startswith("test_") and file.endswith(".py")


def reach(start: Iterable[str], importers: Graph, steps: int, *, below: str) -> set[str]:
    """Give *start* and what imports it, over so many *steps*, as far as it lies in the folder *below*."""
    found = last = set(start)
    for _ in range(steps):
        last = {one for file in last for one in importers.get(file, ()) if one.startswith(below)} - found
        if not last:
            break
        found = found | last
    return found


def chosen(changed: Collection[str], graph: Graph, depth: int) -> set[str]:
    """Choose the tests; see the text at the top."""
    importers, tests = reversed_graph(graph), {file for file in graph if is_test(file)}
    sources = {file for file in changed if file.startswith(("src/", "bench/"))}
    near = reach(sources, importers, depth, below="src/")
    helpers = {file for file in changed if file.startswith("tests/")}
    found = reach(helpers, importers, len(graph), below="tests/")
    found |= {own_tests(file) for file in near if file.startswith("src/")}
    found |= {one for file in sources for one in importers.get(file, ())}
    folders = {str(Path(file).parent) for file in changed if Path(file).name == "conftest.py"}
    found |= {file for file in tests if any(file.startswith(f"{folder}/") or folder == "." for folder in folders)}
    others = {test for name, test in FOLLOWED.items() if any(f"{file}/".startswith(f"{name}/") for file in changed)}
    return (found & tests) | others


def own_tests(module: str) -> str:
    """Name the own test module of a module."""
    path = Path(module.replace("src/sipmesh", "tests", 1))
    return str(path.with_name(f"test_{path.name}"))


def main(given: list[str]) -> int:
    """Print the tests."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument(
        "--since", default="main", metavar="REVISION", help="what the change is compared with (default: main)"
    )
    parser.add_argument("--depth", type=int, default=1, help="over how many imports a change is followed (default: 1)")
    asked = parser.parse_args(given)
    print(*sorted(chosen(changed_since(asked.since), import_graph(python_files()), asked.depth)), sep="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
