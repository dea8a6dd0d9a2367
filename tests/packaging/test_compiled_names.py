"""What mypyc or the C compiler would refuse in minutes is found in the sources in a second.

mypyc writes an attribute `_name` as `__name` in C: such a name must not be a keyword of C. A compiled class has one base.
"""

from __future__ import annotations

import ast
from pathlib import Path

import hatch_build
import pytest

KEYWORDS = {
    "alignof",
    "asm",
    "attribute",
    "auto_type",
    "builtin_offsetof",
    "complex",
    "const",
    "extension",
    "float80",
    "float128",
    "func",
    "imag",
    "inline",
    "int128",
    "label",
    "null",
    "real",
    "restrict",
    "signed",
    "thread",
    "typeof",
    "volatile",
}
"""GCC's keywords that begin with two underscores, without these."""


def keywords_as_attributes(text: str) -> set[str]:
    """The attributes of `self` in *text* whose name in C is a keyword."""
    named = {
        item.attr
        for item in ast.walk(ast.parse(text))
        if isinstance(item, ast.Attribute) and isinstance(item.value, ast.Name) and item.value.id == "self"
    }
    return {name for name in named if name.startswith("_") and name[1:] in KEYWORDS}


@pytest.mark.parametrize(
    ("statement", "found"), [("self._thread = None", {"_thread"}), ("self._threads = self.thread", set())]
)
def test_keyword_is_found(statement: str, found: set[str]) -> None:
    assert keywords_as_attributes(statement) == found


@pytest.mark.wide
def test_no_attribute_of_a_compiled_module_is_a_keyword_in_c() -> None:
    root = Path(hatch_build.__file__).parent
    texts = {path: (root / path).read_text() for path in hatch_build.sources()}
    assert {path: found for path, text in texts.items() if (found := keywords_as_attributes(text))} == {}


OPEN = {"Protocol", "Generic", "NamedTuple", "Enum", "IntEnum", "StrEnum", "Exception"}
"""Bases that mypyc does not compile, or knows by itself."""


def classes_with_bases(text: str) -> set[str]:
    """The classes in *text* with more than one base that may be compiled: mypyc takes one."""
    bases = {
        item.name: [base for base in item.bases if ast.unparse(base).partition("[")[0] not in OPEN]
        for item in ast.walk(ast.parse(text))
        if isinstance(item, ast.ClassDef)
    }
    return {name for name, found in bases.items() if len(found) > 1}


@pytest.mark.parametrize(
    ("statement", "found"), [("class A(B, C): pass", {"A"}), ("class A(B, Generic[T]): pass", set())]
)
def test_class_with_two_bases_is_found(statement: str, found: set[str]) -> None:
    assert classes_with_bases(statement) == found


def test_no_class_of_a_compiled_module_has_two_bases() -> None:
    root = Path(hatch_build.__file__).parent
    texts = {path: (root / path).read_text() for path in hatch_build.sources()}
    assert {path: found for path, text in texts.items() if (found := classes_with_bases(text))} == {}
