"""What mypyc compiles without a complaint, and cannot import.

It evaluates the annotations of a dataclass when its module is imported: their names have to be there by then. And it takes
what checkers of types do not see for unreachable.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import hatch_build
import pytest


def names_for_checkers(module: ast.Module) -> set[str]:
    """Names that only ``if TYPE_CHECKING`` imports."""
    return {
        alias.asname or alias.name
        for block in module.body
        if isinstance(block, ast.If) and isinstance(block.test, ast.Name) and block.test.id == "TYPE_CHECKING"
        for statement in ast.walk(block)
        if isinstance(statement, ast.ImportFrom | ast.Import)
        for alias in statement.names
    }


def names_in_fields(module: ast.Module) -> Iterator[tuple[str, str]]:
    """Each dataclass with the outer name of the type of each of its fields."""
    for item in ast.walk(module):
        if isinstance(item, ast.ClassDef) and any("dataclass" in ast.unparse(one) for one in item.decorator_list):
            for field in item.body:
                if isinstance(field, ast.AnnAssign):
                    kind = field.annotation
                    outer = kind.value if isinstance(kind, ast.Subscript) else kind
                    yield item.name, ast.unparse(outer)


@pytest.mark.parametrize(
    ("imported", "found"),
    [
        ("if TYPE_CHECKING:\n    from collections.abc import Mapping", [("Rules", "Mapping")]),
        ("from collections.abc import Mapping", []),
    ],
)
def test_fields_whose_type_is_missing_at_run_time_are_found(imported: str, found: list[tuple[str, str]]) -> None:
    text = f"{imported}\n@dataclass(frozen=True)\nclass Rules:\n    names: Mapping[str, int]\n    size: int\n"
    assert missing(text) == found


def missing(text: str) -> list[tuple[str, str]]:
    """The fields of dataclasses in *text* whose type exists for type checkers only."""
    module = ast.parse(text)
    only = names_for_checkers(module)
    return [(where, name) for where, name in names_in_fields(module) if name in only]


def test_compiled_dataclasses_import_the_types_of_their_fields(monkeypatch: pytest.MonkeyPatch) -> None:
    root = Path(hatch_build.__file__).parent
    monkeypatch.chdir(root)
    assert {path: found for path in hatch_build.sources() if (found := missing(Path(path).read_text()))} == {}


def test_compiled_module_defines_nothing_that_type_checkers_do_not_see(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(Path(hatch_build.__file__).parent)
    assert [path for path in hatch_build.sources() if "LazyModule(" in Path(path).read_text()] == []
