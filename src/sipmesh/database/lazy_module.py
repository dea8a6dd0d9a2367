"""A module that is imported when it is used first: a server without a store of its own does not load what only stores need."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import sqlalchemy as sql


class LazyModule:
    """Stands for the module *name*. Any thread may use it first."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, attribute: str) -> Any:
        """Import the module, and keep the attribute here, so that it is found without this method from then on."""
        found = getattr(import_module(self._name), attribute)
        setattr(self, attribute, found)
        return found


if not TYPE_CHECKING:
    sql = LazyModule("sqlalchemy")

__all__ = ["LazyModule", "sql"]
