"""JSON of typed values: each value is written by `members` and read back by `read`.

The keys of a dataclass or of a pydantic model are the names of its fields. A field whose key is a reserved word of Python has an
underscore at its end (``class_``), and its key as ``validation_alias``. Instants are ISO 8601 with a time zone.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, runtime_checkable

from sipmesh.errors import SipmeshError
from sipmesh.printable import printable

if TYPE_CHECKING:
    from pydantic import TypeAdapter

T = TypeVar("T")

Json = Mapping[str, object]
"""A JSON object whose keys depend on what it describes."""

LONGEST_FAULT = 200
_ADAPTERS: dict[object, TypeAdapter[Any]] = {}
_SURROGATE = re.compile("[\ud800-\udfff]")


@runtime_checkable
class HasMembers(Protocol):
    """A value whose keys are not the names of its fields."""

    def to_json(self) -> Json:
        """Return the members of the JSON object."""


class UnreadableJsonError(SipmeshError):
    """A JSON document does not have the type that was expected."""


def members(value: object) -> Json:
    """Return the members of *value* as a JSON object: one level, whose values `dumps` writes. Raises `TypeError`."""
    from pydantic import BaseModel

    if isinstance(value, BaseModel):
        return value.model_dump(mode="json", by_alias=True, exclude_unset=True)
    if isinstance(value, HasMembers):
        return value.to_json()
    if is_dataclass(value):
        return {field.name.removesuffix("_"): getattr(value, field.name) for field in fields(value)}
    raise TypeError(f"no JSON for {value!r}")


def plain(value: object) -> object:
    """Return what `json.dumps` can write in place of *value*: its argument ``default``. Raises `TypeError`."""
    if isinstance(value, datetime):
        return value.isoformat()
    return str(value) if isinstance(value, Path) else members(value)


def read(kind: type[T], document: object) -> T:
    """Read a value of the type *kind* from parsed JSON; raises `UnreadableJsonError` with the first thing that does not fit.

    Types are strict: a string is not a number. Keys that *kind* does not have are ignored, so that a newer release may add some.
    """
    from pydantic import ValidationError

    try:
        return _adapter(kind).validate_json(_text(document), strict=True)
    except ValidationError as wrong:
        first = wrong.errors(include_url=False, include_context=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"]))
        fault = f"{where}: {first['msg']}" if where else first["msg"]
        raise UnreadableJsonError(printable(fault, LONGEST_FAULT)) from None


def _adapter(kind: type[T]) -> TypeAdapter[T]:
    """Return the reader of a type; pydantic takes about a millisecond to make one."""
    from pydantic import TypeAdapter

    if kind not in _ADAPTERS:
        _ADAPTERS[kind] = TypeAdapter(kind)
    return _ADAPTERS[kind]


def _text(document: object) -> str:
    """Write parsed JSON as text again, with an escape for each lone surrogate: no encoding can write one."""
    text = json.dumps(document, ensure_ascii=False)
    return text if text.isascii() else _SURROGATE.sub(lambda found: f"\\\\u{ord(found[0]):04x}", text)
