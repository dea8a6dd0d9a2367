"""The YAML document as a tree, in which each value has its line and path.

Only YAML nodes are composed, and this module reads the few types of values that are needed. No YAML constructor runs. So a tag,
a date or an alias in a hostile or damaged file can only become a problem with a line number.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Final

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from sipmesh.errors import OperatorError, Problem
from sipmesh.topology.document.named_files.read import UnusableFileError, read_file

LARGEST_DOCUMENT = 1 << 20  # octets; enough for thousands of partners
DEEPEST_NESTING = 20  # the model needs five levels
MOST_ENTRIES = 200_000  # within LARGEST_DOCUMENT only nested aliases reach this
LARGEST_REMEMBERED = 64 << 10  # octets; a tree needs some twenty times the memory of its text
MOST_REMEMBERED = (
    8  # documents: a publication reads the same text for its checks, its signature and each of its servers
)
_NO_FILE: Final = Path()

Scalar = str | int | bool | None
Loc = tuple[str | int, ...]
"""The place of a value, as in pydantic: keys and indexes from the root."""

_TAG = "tag:yaml.org,2002:"
_TEXT_TAGS = frozenset({_TAG + "str", _TAG + "float", _TAG + "timestamp", _TAG + "merge", _TAG + "value", "!"})
_TRUE = "true"


@dataclass(frozen=True, slots=True)
class YamlEntry:
    """One value with its place. *line* counts from 1. For a member of a mapping it is the line of the key."""

    line: int
    path: Loc
    value: Scalar | Mapping[str, YamlEntry] | Sequence[YamlEntry]

    @property
    def children(self) -> Mapping[str | int, YamlEntry]:
        """The values inside, by key or index; empty for a scalar."""
        if isinstance(self.value, Mapping):
            return dict(self.value.items())
        if isinstance(self.value, Sequence) and not isinstance(self.value, str):
            return dict(enumerate(self.value))
        return {}

    def child(self, step: str | int) -> YamlEntry | None:
        """Give the value inside at a key or an index; None if there is none. Its time does not depend on how many there are."""
        value = self.value
        if isinstance(value, Mapping):
            return value.get(step) if isinstance(step, str) else None
        if isinstance(value, Sequence) and not isinstance(value, str) and isinstance(step, int):
            return value[step] if 0 <= step < len(value) else None
        return None

    def plain(self) -> object:
        """Give the value without places. Lists are tuples."""
        if isinstance(self.value, Mapping):
            return {key: entry.plain() for key, entry in self.value.items()}
        if isinstance(self.value, Sequence) and not isinstance(self.value, str):
            return tuple(entry.plain() for entry in self.value)
        return self.value

    def at(self, loc: Loc) -> YamlEntry:
        """Give the entry at *loc*, or the nearest existing entry above it."""
        entry = self
        for step in loc:
            if (inner := entry.child(step)) is None:
                break
            entry = inner
        return entry

    def texts(self) -> Iterator[str]:
        """Give all texts inside, in lower case."""
        if isinstance(self.value, str):
            yield self.value.lower()
        for inner in self.children.values():
            yield from inner.texts()

    def without(self, loc: Loc) -> YamlEntry:
        """Give the same tree without the entry at *loc*. All other entries keep their lines and paths."""
        step, rest = loc[0], loc[1:]
        kept = {
            key: inner.without(rest) if key == step else inner
            for key, inner in self.children.items()
            if rest or key != step
        }
        if isinstance(self.value, Mapping):
            return YamlEntry(self.line, self.path, {str(key): inner for key, inner in kept.items()})
        return YamlEntry(self.line, self.path, tuple(kept.values()))


def dotted(loc: Loc) -> str:
    """Write a path for people, such as ``pools[0].servers``."""
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in loc).lstrip(".")


def read(file: Path) -> bytes:
    """Give the octets of a topology file; raises OperatorError if it cannot be read."""
    try:
        return read_file(file, LARGEST_DOCUMENT)
    except UnusableFileError as wrong:
        remedy = (
            "name the topology file; make one: sipmesh init DOMAIN; on another management host: sipmesh topology draft"
        )
        raise _broken(Problem(file, 0, "", str(wrong), remedy)) from None


def parse(content: bytes, file: Path) -> tuple[YamlEntry, list[Problem]]:
    """Parse *content* into a tree; returns it with the problems that allow reading on (duplicate keys, tags).

    The trees of the last documents are remembered: no caller may change what a tree contains.

    Raises OperatorError if it is not YAML.
    """
    read = _remembered if len(content) <= LARGEST_REMEMBERED else _read
    try:
        root, problems = read(content)
    except OperatorError as wrong:
        raise _broken(replace(wrong.problems[0], file=file)) from None
    return root, [replace(problem, file=file) for problem in problems]


def _read(content: bytes) -> tuple[YamlEntry, tuple[Problem, ...]]:
    """Parse *content*; the problems name no file."""
    reader, root = _Reader(), _composed(content)
    return reader.entry(root, (), root.start_mark.line), tuple(reader.problems)


_remembered = lru_cache(MOST_REMEMBERED)(_read)


def _composed(content: bytes) -> Node:
    """Compose the nodes of a document; raises OperatorError with one problem."""
    try:
        root = YAML(typ="safe", pure=True).compose(content.decode())
    except UnicodeDecodeError as wrong:
        line = content.count(b"\n", 0, wrong.start) + 1
        raise _broken(Problem(_NO_FILE, line, "", "is not UTF-8", "save the file as UTF-8")) from None
    except MarkedYAMLError as wrong:
        raise _broken(_syntax(wrong)) from None
    except YAMLError as wrong:
        reason = f"is not YAML ({str(wrong).splitlines()[0]}"
        raise _broken(Problem(_NO_FILE, 0, "", reason, "remove the characters that are not plain text")) from None
    except RecursionError:
        raise _broken(Problem(_NO_FILE, 0, "", "is nested too deeply", "see `sipmesh topology schema`")) from None
    if not isinstance(root, Node) or root.tag == _TAG + "null":
        raise _broken(Problem(_NO_FILE, 1, "", "is empty", "make a topology: sipmesh init DOMAIN"))
    return root


def _broken(problem: Problem) -> OperatorError:
    return OperatorError("the topology cannot be read", (problem,))


def _syntax(wrong: MarkedYAMLError) -> Problem:
    """Say where the YAML parser stopped, and why."""
    mark = wrong.problem_mark or wrong.context_mark
    reason = f"is not YAML: {wrong.problem or wrong.context}"
    remedy = "correct the indentation, brackets or quotes on this line"
    return Problem(_NO_FILE, mark.line + 1 if mark else 0, "", reason, remedy)


class _Reader:
    """Makes entries from composed nodes, and collects problems."""

    def __init__(self) -> None:
        self.problems = list[Problem]()
        self._left = MOST_ENTRIES

    def note(self, node: Node, path: Loc, reason: str, remedy: str) -> None:
        self.problems.append(Problem(_NO_FILE, node.start_mark.line + 1, dotted(path), reason, remedy))

    def entry(self, node: Node, path: Loc, line: int) -> YamlEntry:
        """Read *node*, whose key or dash is on *line* (counted from 0)."""
        self._left -= 1
        if self._left < 0 or len(path) > DEEPEST_NESTING:
            where = dotted(path[:3])
            raise _broken(
                Problem(
                    _NO_FILE,
                    line + 1,
                    where,
                    "is too large, or nested too deeply, with its aliases written out",
                    "write it without aliases",
                )
            )
        return YamlEntry(line + 1, path, self._value(node, path))

    def _value(self, node: Node, path: Loc) -> Scalar | Mapping[str, YamlEntry] | Sequence[YamlEntry]:
        if isinstance(node, MappingNode):
            return self._mapping(node, path)
        if isinstance(node, SequenceNode):
            return [self.entry(item, (*path, n), item.start_mark.line) for n, item in enumerate(node.value)]
        return self._scalar(node, path)

    def _mapping(self, node: MappingNode, path: Loc) -> dict[str, YamlEntry]:
        entries: dict[str, YamlEntry] = {}
        for key, value in node.value:
            name = str(key.value) if isinstance(key, ScalarNode) else "?"
            if name in entries:
                first = entries[name].line
                self.note(key, (*path, name), f"is given twice (first on line {first})", "keep one of the two")
                continue
            entries[name] = self.entry(value, (*path, name), key.start_mark.line)
        return entries

    def _scalar(self, node: Node, path: Loc) -> Scalar:
        text, tag = str(node.value), str(node.tag)
        if tag == _TAG + "null":
            return None
        if tag == _TAG + "bool":
            return text.lower() == _TRUE
        if tag == _TAG + "int" and text.isascii() and text.isdigit() and len(text) < len(str(MOST_ENTRIES * 10**6)):
            return int(text)
        if tag not in _TEXT_TAGS and tag != _TAG + "int":
            self.note(node, path, f"has the YAML tag {tag}, which is not allowed", "remove the tag")
        return text
