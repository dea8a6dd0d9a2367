"""Circles of imports are found, with every module that is in one."""

from __future__ import annotations

from pathlib import Path

import pytest
from importlinter import cli

from tools.acyclic_modules import circles_in

CONTRACT = """[tool.importlinter]
root_package = "ring"
contract_types = ["acyclic_modules: tools.acyclic_modules.AcyclicModules"]

[[tool.importlinter.contracts]]
name = "No circle"
type = "acyclic_modules"
"""


@pytest.mark.parametrize(
    ("imports", "circles"),
    [
        ({"a": {"b"}, "b": {"c"}, "c": set()}, []),
        ({"a": {"b"}, "b": {"a"}, "c": {"a"}}, [["a", "b"]]),
        ({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"e"}, "e": {"d"}}, [["a", "b", "c"], ["d", "e"]]),
    ],
)
def test_each_circle_is_found_once(imports: dict[str, set[str]], circles: list[list[str]]) -> None:
    assert list(circles_in(imports)) == circles


@pytest.mark.parametrize(
    ("import_of_b", "is_kept"),
    [
        ("import ring.b", False),
        ("def work():\n    import ring.b", False),
        ("from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import ring.b", True),
    ],
    ids=["at the top", "in a function", "for types"],
)
def test_import_in_a_function_closes_a_circle_and_one_for_types_does_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, import_of_b: str, *, is_kept: bool
) -> None:
    package = tmp_path / "ring"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "a.py").write_text(f"{import_of_b}\n")
    (package / "b.py").write_text("import ring.a\n")
    (tmp_path / "pyproject.toml").write_text(CONTRACT)
    monkeypatch.syspath_prepend(str(tmp_path))
    assert (cli.lint_imports(config_filename=str(tmp_path / "pyproject.toml"), no_cache=True) == 0) is is_kept
