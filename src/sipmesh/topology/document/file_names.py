"""Each file that a topology names, with its place in the document and its kind."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, get_args

from pydantic import BaseModel

from sipmesh.topology.document.file_kind import FileKind
from sipmesh.topology.document.names import is_url
from sipmesh.topology.document.parts.server import Server

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from sipmesh.topology.document.model import Topology
    from sipmesh.topology.document.yaml_tree import Loc


@dataclass(frozen=True, slots=True)
class FileOfKind:
    """A file in the document at *loc*; *server* is the one whose file it is, "" if it is not of one server."""

    loc: Loc
    name: str
    kind: FileKind
    server: str


def named_files(topology: Topology) -> Iterator[FileOfKind]:
    """Give each file that *topology* names, without default names and without URLs, in the order of the document's keys."""
    return _in_part(topology, (), "")


def _in_part(part: BaseModel, loc: Loc, server: str) -> Iterator[FileOfKind]:
    server = part.name if isinstance(part, Server) else server
    for key, kind in _keys(type(part)).items():
        yield from _in_value(getattr(part, key), (*loc, key), kind, server)


def _in_value(value: object, loc: Loc, kind: FileKind | None, server: str) -> Iterator[FileOfKind]:
    if isinstance(value, BaseModel):
        yield from _in_part(value, loc, server)
    elif isinstance(value, tuple):
        for n, inner in enumerate(value):
            yield from _in_value(inner, (*loc, n), kind, server)
    elif isinstance(value, str) and kind is not None and not (kind.or_url and is_url(value)):
        yield FileOfKind(loc, value, kind, server)


@cache
def _keys(model: type[BaseModel]) -> Mapping[str, FileKind | None]:
    """Give the keys of *model* that name files, each with their kind, and those of parts with None."""
    found = {key: _kind((field.annotation, *field.metadata)) for key, field in model.model_fields.items()}
    parts = {key for key, field in model.model_fields.items() if _has_part(field.annotation)}
    return {key: kind for key, kind in found.items() if kind is not None or key in parts}


def _kind(annotation: Any) -> FileKind | None:
    if isinstance(annotation, FileKind):
        return annotation
    inner = annotation if isinstance(annotation, tuple) else get_args(annotation)
    return next((kind for kind in map(_kind, inner) if kind is not None), None)


def _has_part(annotation: Any) -> bool:
    return (isinstance(annotation, type) and issubclass(annotation, BaseModel)) or any(
        map(_has_part, get_args(annotation))
    )
