"""A wrong edit of a module that is imported: its functions get other code in place, so that each holder of them has the fault."""

from __future__ import annotations

import ast
import importlib
from contextlib import contextmanager
from pathlib import Path
from types import FunctionType
from typing import TYPE_CHECKING, Any

import sipmesh

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType

PACKAGE = Path(sipmesh.__file__).parent


@contextmanager
def edited(file: str, right: str, wrong: str) -> Iterator[None]:
    """Let the module in *file*, below the package, have *wrong* in place of *right*, within one function or assignment.

    Raises ValueError unless the text is there exactly once.
    """
    text = (PACKAGE / file).read_text()
    if text.count(right) != 1:
        raise ValueError(f"{file} has {text.count(right)} times {right!r}")
    module = importlib.import_module(".".join(("sipmesh", *Path(file).with_suffix("").parts)))
    made: dict[str, Any] = {"__name__": module.__name__, "__file__": module.__file__, "__package__": module.__package__}
    exec(compile(text.replace(right, wrong), str(PACKAGE / file), "exec", dont_inherit=True), made)  # noqa: S102 - our own source
    node = _node_at(text, text.index(right))
    if isinstance(node, ast.Assign | ast.AnnAssign):
        target = node.targets[0] if isinstance(node, ast.Assign) else node.target
        with _assigned(module, ast.unparse(target), made):
            yield
        return
    assert isinstance(node, ast.ClassDef | ast.FunctionDef)
    with _recoded(vars(module)[node.name], made[node.name]):
        yield


def _node_at(text: str, offset: int) -> ast.stmt:
    """Return the statement of the module at *offset*."""
    line = text.count("\n", 0, offset) + 1
    found = [node for node in ast.parse(text).body if node.lineno <= line]
    return found[-1]


@contextmanager
def _assigned(module: ModuleType, name: str, made: dict[str, Any]) -> Iterator[None]:
    before = vars(module)[name]
    setattr(module, name, made[name])
    try:
        yield
    finally:
        setattr(module, name, before)


@contextmanager
def _recoded(old: Any, new: Any) -> Iterator[None]:
    """Give the functions of *old* the code of those in *new*, which has the same names."""
    pairs = [(one, other) for one, other in _pairs(old, new) if one.__code__ != other.__code__]
    before = [one.__code__ for one, _ in pairs]
    for one, other in pairs:
        one.__code__ = other.__code__
    try:
        yield
    finally:
        for (one, _), code in zip(pairs, before, strict=True):
            one.__code__ = code


def _pairs(old: Any, new: Any) -> Iterator[tuple[FunctionType, FunctionType]]:
    if isinstance(old, type):
        for name, value in vars(old).items():
            if name in vars(new) and _is_code(value):
                yield from _pairs(value, vars(new)[name])
    elif isinstance(old, property):
        yield from _pairs(old.fget, new.fget)
    elif hasattr(old, "__func__"):
        yield from _pairs(old.__func__, new.__func__)
    elif hasattr(old, "__wrapped__"):
        yield from _pairs(old.__wrapped__, new.__wrapped__)
    elif isinstance(old, FunctionType):
        yield old, new


def _is_code(value: object) -> bool:
    return isinstance(value, FunctionType | property | staticmethod | classmethod)
