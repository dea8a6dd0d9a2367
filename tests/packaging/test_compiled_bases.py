"""A compiled class that inherits from a class in C crashes the process: it has the memory of neither."""

from __future__ import annotations

import ast
from pathlib import Path

import hatch_build
import pytest

from support.checkout import ROOT

KNOWN = {"Enum", "Exception", "Generic", "IntEnum", "NamedTuple", "Protocol", "StrEnum"}
"""Bases of others that mypyc compiles."""


def classes(module: Path) -> list[ast.ClassDef]:
    return [item for item in ast.walk(ast.parse(module.read_text())) if isinstance(item, ast.ClassDef)]


@pytest.mark.wide
def test_compiled_classes_inherit_from_our_own_or_from_known_classes() -> None:
    ours = {item.name for module in (ROOT / "src").rglob("*.py") for item in classes(module)}
    foreign = {
        f"{source}: {item.name}({name})"
        for source in hatch_build.sources()
        for item in classes(ROOT / source)
        for name in (ast.unparse(base).split("[")[0] for base in item.bases)
        if name not in ours | KNOWN
    }
    assert foreign == set()
