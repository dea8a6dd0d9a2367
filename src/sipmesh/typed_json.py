"""JSON of typed values: each value is written by `members` and read back by `read`.

The keys of a dataclass or of a pydantic model are the names of its fields. A field whose key is a reserved word of Python has an
underscore at its end (``class_``), and its key as ``validation_alias``. A value whose keys are not the names of its fields has
a method ``to_json``, which returns the members of its object. Instants are ISO 8601 with a time zone.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

from pydantic import BeforeValidator

from sipmesh.errors import SipmeshError
from sipmesh.foreign_errors import misfit_of
from sipmesh.printable import printable
from sipmesh.strict_json import read_json

if TYPE_CHECKING:
    from pydantic import TypeAdapter

T = TypeVar("T")

Json = Mapping[str, object]
"""A JSON object whose keys depend on what it describes."""

LONGEST_FAULT = 200
_ADAPTERS: dict[object, TypeAdapter[Any]] = {}
_WRITERS: dict[type, Callable[[Any], Json]] = {}
"""By the type of a value; a reply has hundreds of values of few types."""


def _decoded(text: object) -> bytes:
    if not isinstance(text, str):
        raise ValueError("not a text in base64")  # noqa: TRY004 - pydantic wants it so
    return base64.b64decode(text, validate=True)


Base64 = Annotated[bytes, BeforeValidator(_decoded)]
"""Octets, which are base64 in the JSON that is read."""

_SURROGATE = re.compile("[\ud800-\udfff]")


class UnreadableJsonError(SipmeshError):
    """A JSON document does not have the type that was expected; *misfits* says what is wrong, by the key at its top."""

    def __init__(self, message: str, misfits: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.misfits = misfits or {}


def members(value: object) -> Json:
    """Return the members of *value* as a JSON object: one level, whose values `dumps` writes. Raises `TypeError`."""
    kind = type(value)
    if (writer := _WRITERS.get(kind)) is None:
        writer = _WRITERS[kind] = _writer(kind)
    return writer(value)


def _writer(kind: type) -> Callable[[Any], Json]:
    """Return the function that gives the members of each value of the type *kind*; raises `TypeError` if there is none."""
    from pydantic import BaseModel

    if issubclass(kind, BaseModel):
        return lambda value: kind.model_dump(value, mode="json", by_alias=True, exclude_unset=True)
    if hasattr(kind, "to_json"):
        return lambda value: value.to_json()
    if is_dataclass(kind):
        names = [(field.name.removesuffix("_"), field.name) for field in fields(kind)]
        return lambda value: {key: getattr(value, name) for key, name in names}
    raise TypeError(f"no JSON for {kind!r}")


def plain(value: object) -> object:
    """Return what `json.dumps` can write in place of *value*: its argument ``default``. Raises `TypeError`."""
    if isinstance(value, datetime):
        return value.isoformat()
    return str(value) if isinstance(value, Path) else members(value)


def read_document(kind: type[T], text: bytes | str) -> T:
    """Read a value of the type *kind* from JSON of others, as `read` does; no name may be given twice."""
    try:
        read_json(text)
    except ValueError as wrong:
        raise UnreadableJsonError(printable(str(wrong), LONGEST_FAULT)) from None
    return _validated(kind, text)


def read(kind: type[T], document: object) -> T:
    """Read a value of the type *kind* from parsed JSON; raises `UnreadableJsonError` with the first thing that does not fit.

    Types are strict: a string is not a number. Keys that *kind* does not have are ignored, so that a newer release may add some.
    """
    return _validated(kind, _text(document))


def _validated(kind: type[T], text: bytes | str) -> T:
    from pydantic import ValidationError

    try:
        return _adapter(kind).validate_json(text, strict=True)
    except ValidationError as wrong:
        errors = wrong.errors(include_url=False, include_input=False)
        first = errors[0]
        where = ".".join(map(str, first["loc"]))
        fault = f"{where}: {misfit_of(first)}" if where else f"it {misfit_of(first)}"
        misfits = {
            str(one["loc"][0]): printable(misfit_of(one), LONGEST_FAULT) for one in reversed(errors) if one["loc"]
        }
        raise UnreadableJsonError(printable(fault, LONGEST_FAULT), misfits) from None


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
