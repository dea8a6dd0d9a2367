"""A module is imported when it is used first."""

from __future__ import annotations

import sys

import pytest

from sipmesh.database.lazy_module import LazyModule

NAME = "this"  # a module of Python that no other module imports


def test_module_is_imported_at_its_first_use(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, NAME, raising=False)
    module = LazyModule(NAME)
    assert NAME not in sys.modules
    assert "Beautiful" not in module.s  # it is written in ROT13
    assert NAME in sys.modules
    assert module.s is sys.modules[NAME].s


def test_unknown_attribute_and_unknown_module_are_errors_as_with_an_import() -> None:
    with pytest.raises(AttributeError):
        _ = LazyModule("json").no_such_name
    with pytest.raises(ModuleNotFoundError):
        _ = LazyModule("sipmesh.no_such_module").name
