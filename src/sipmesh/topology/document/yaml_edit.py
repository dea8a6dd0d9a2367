"""Small edits of a YAML text. All other characters, such as the operator's comments, stay the same.

An edit inserts or removes text at the position that the parser reports for a node. In some YAML forms (comments inside
brackets, block scalars) this may fail. So the new text is parsed and compared with the expected value. If they differ,
LocalError is raised.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING, Final

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from sipmesh.errors import LocalError, OperatorError
from sipmesh.topology.document.yaml_tree import parse

if TYPE_CHECKING:
    from sipmesh.topology.document.yaml_tree import Loc

# Valid without quotes in YAML 1.1 and 1.2, inside and outside of brackets. Other values are written as JSON, which is YAML.
_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9._/-]*(?::[0-9]{1,5})?|(?:[0-9]{1,3}\.){3}[0-9]{1,3}")
_NOT_TEXT = frozenset({"true", "false", "yes", "no", "on", "off", "null", "y", "n"})
_WIDTH = 100
"""Maximum columns of a line. A longer value is written as a block."""


_left: Final[ContextVar[int | None]] = ContextVar("octets that edits may still read", default=None)


@contextmanager
def at_most(octets: int) -> Iterator[None]:
    """Let the edits in the block read so many *octets* of text; raises `OperatorError` there. The first edit is always made.

    Each edit reads the whole text, so many edits of a large one take minutes.
    """
    before = _left.set(octets)
    try:
        yield
    finally:
        _left.reset(before)


def _spend(octets: int) -> None:
    left = _left.get()
    if left is None:
        return
    if left < 0:
        remedy = "send it as several requests, or type the command on the management host"
        raise OperatorError(f"this changes the draft at too many places for one request; {remedy}")
    _left.set(left - octets)


def written(value: object) -> str:
    """Write *value* on one line; mappings and lists in brackets."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {written(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(written, value)) + "]"
    if isinstance(value, str) and _PLAIN.fullmatch(value) and value.lower() not in _NOT_TEXT:
        return value
    return json.dumps(value, ensure_ascii=False)


def block_of_key(key: object, value: object) -> list[str]:
    """Write a key with its value as lines. A short value is on the line of the key; others are a block below it."""
    on_one = f"{key}: {written(value)}"
    if not _needs_block(value, on_one):
        return [on_one]
    inner = (
        block_of_item(value) if isinstance(value, dict) else [line for part in _parts(value) for line in _dashed(part)]
    )
    return [f"{key}:", *(f"  {line}" for line in inner)]


def block_of_item(item: object) -> list[str]:
    """Write an item of a list as lines, without its dash."""
    on_one = written(item)
    if isinstance(item, dict) and _needs_block(item, on_one):
        return [line for key, value in item.items() for line in block_of_key(key, value)]
    return [on_one]


def _dashed(item: object) -> list[str]:
    first, *others = block_of_item(item)
    return [f"- {first}", *(f"  {line}" for line in others)]


def _needs_block(value: object, on_one: str) -> bool:
    """Tell whether a value needs a block: it is too long for a line, or is a mapping that contains a list."""
    parts = list(value.values()) if isinstance(value, dict) else _parts(value)
    return bool(parts) and (
        len(on_one) > _WIDTH or any(_holds_list(part, inside=isinstance(value, dict)) for part in parts)
    )


def _holds_list(part: object, *, inside: bool) -> bool:
    if isinstance(part, dict):
        return any(_holds_list(inner, inside=True) for inner in part.values())
    return isinstance(part, list | tuple) and (inside or any(_holds_list(inner, inside=False) for inner in part))


def _parts(value: object) -> list[object]:
    return list(value) if isinstance(value, list | tuple) else []


def append(text: str, loc: Loc, item: object) -> str:
    """Add *item* at the end of the list at *loc*, a path of keys and indexes. Missing keys are added."""
    return extend(text, loc, [item])


def extend(text: str, loc: Loc, items: Sequence[object]) -> str:
    """Add *items* at the end of the list at *loc*, as `append` does, and read the document once for all of them."""
    return _checked(_extend(text, loc, items), _extended(_plain(text), loc, items))


def remove(text: str, loc: Loc) -> str:
    """Remove the item at *loc* from its list. Without the last item the list is ``[]``."""
    return _checked(_remove(text, loc), _removed(_plain(text), loc))


def put(text: str, loc: Loc, value: object) -> str:
    """Set the value at *loc*: of a key, which is added if it is missing, or of an item of a list."""
    return _checked(_put(text, loc, value), _with(_plain(text), loc, value))


def drop(text: str, loc: Loc) -> str:
    """Remove the key at *loc* with its value. Without the last key the mapping is ``{}``."""
    return _checked(_drop(text, loc), _without(_plain(text), loc))


def rewritten(text: str) -> str:
    """Write the document *text* again, without its comments, in a form that can be edited."""
    plain = _plain(text)
    if not isinstance(plain, dict):
        raise LocalError("the document is not a mapping")
    lines = [line for key, value in plain.items() for line in block_of_key(key, value)]
    return _checked("\n".join([*lines, ""]), plain)


def _checked(text: str, wanted: object) -> str:
    """Return *text* if its value is *wanted*; otherwise raise LocalError."""
    _spend(len(text))
    try:
        if _plain(text) == wanted:
            return text
    except OperatorError as wrong:
        raise LocalError(f"the splice broke the document: {wrong}") from None
    raise LocalError("the splice would say something else")


def _plain(text: str) -> object:
    return parse(text.encode(), Path("topology"))[0].plain()


def _extended(value: object, loc: Loc, items: Sequence[object]) -> object:
    """Give the expected value with *items* at the end of the list at *loc*."""
    if not loc:
        return (*(value if isinstance(value, tuple) else ()), *map(_frozen, items))
    if isinstance(value, tuple):
        return tuple(_extended(inner, loc[1:], items) if n == loc[0] else inner for n, inner in enumerate(value))
    known = value if isinstance(value, dict) else {}
    return {**known, loc[0]: _extended(known.get(loc[0]), loc[1:], items)}


def _removed(value: object, loc: Loc) -> object:
    """Give the expected value without the item at *loc*."""
    if isinstance(value, tuple):
        kept = (value[:n] + value[n + 1 :] for n in loc[:1] if isinstance(n, int))
        if len(loc) == 1:
            return next(kept, value)
        return tuple(_removed(inner, loc[1:]) if n == loc[0] else inner for n, inner in enumerate(value))
    if isinstance(value, dict):
        return {key: _removed(inner, loc[1:]) if key == loc[0] else inner for key, inner in value.items()}
    return value


def _with(value: object, loc: Loc, new: object) -> object:
    """Give the expected value with *new* at *loc*."""
    if not loc:
        return _frozen(new)
    if isinstance(value, tuple):
        return tuple(_with(inner, loc[1:], new) if n == loc[0] else inner for n, inner in enumerate(value))
    known = value if isinstance(value, dict) else {}
    return {**known, loc[0]: _with(known.get(loc[0]), loc[1:], new)}


def _without(value: object, loc: Loc) -> object:
    """Give the expected value without the key at *loc*."""
    if isinstance(value, tuple):
        return tuple(_without(inner, loc[1:]) if n == loc[0] else inner for n, inner in enumerate(value))
    if not isinstance(value, dict):
        return value
    if len(loc) == 1:
        return {key: inner for key, inner in value.items() if key != loc[0]}
    return {key: _without(inner, loc[1:]) if key == loc[0] else inner for key, inner in value.items()}


def _frozen(item: object) -> object:
    if isinstance(item, dict):
        return {key: _frozen(value) for key, value in item.items()}
    return tuple(map(_frozen, item)) if isinstance(item, list | tuple) else item


def _extend(text: str, loc: Loc, items: Sequence[object]) -> str:
    root = _root(text)
    node, missing = root, loc
    while missing and (inner := _member(node, missing[0])) is not None:
        node, missing = inner, missing[1:]
    if missing:
        value: object = [*items]
        for key in reversed(missing[1:]):
            value = {key: value}
        return _add_member(text, node, str(missing[0]), value)
    above = _at(root, loc[:-1])
    if isinstance(above, MappingNode) and not above.flow_style and not (isinstance(node, SequenceNode) and node.value):
        return _fill(text, above, str(loc[-1]), node, items)
    if isinstance(node, SequenceNode):
        return _add_items(text, node, items)
    colon = _key_end(root, loc)
    return text[:colon] + f" {written([*items])}" + text[colon:]


def _put(text: str, loc: Loc, value: object) -> str:
    root = _root(text)
    node, missing = root, loc
    while missing and (inner := _member(node, missing[0])) is not None:
        node, missing = inner, missing[1:]
    if not missing:
        return _replace(text, root, loc, value)
    if isinstance(node, ScalarNode) and not node.value:  # a key without a value
        return _replace(text, root, loc[: -len(missing)], _nested(missing, value))
    if isinstance(node, MappingNode) and not node.value and node is not root:  # ``{}`` on the line of its key
        return _replace(text, root, loc[: -len(missing)], _nested(missing, value))
    if isinstance(node, MappingNode) and not node.flow_style:
        return _add_lines(text, node, _block_of_path(missing, value))
    return _add_member(text, node, str(missing[0]), _nested(missing[1:], value))


def _block_of_path(keys: Loc, value: object) -> list[str]:
    """Write nested keys, each on a line of its own, with the value of the last one."""
    lines = block_of_key(keys[-1], value)
    for key in reversed(keys[:-1]):
        lines = [f"{key}:", *(f"  {line}" for line in lines)]
    return lines


def _nested(keys: Loc, value: object) -> object:
    for key in reversed(keys):
        value = {key: value}
    return value


def _replace(text: str, root: Node, loc: Loc, value: object) -> str:
    """Replace the value at *loc*. A comment at the end of its line stays."""
    node, above = _at(root, loc), _at(root, loc[:-1])
    if node is None or above is None or not isinstance(above, MappingNode | SequenceNode):
        raise LocalError(f"nothing at {loc}")
    item = isinstance(above, SequenceNode)
    lines = block_of_item(value) if item else block_of_key(loc[-1], value)
    on_a_line = above.flow_style or (len(lines) == 1 and not _is_block(node))
    if on_a_line and (item or node.start_mark.index != node.end_mark.index):
        return text[: int(node.start_mark.index)] + written(value) + text[_end(node) :]
    start = int((node if item else _key(above, loc[-1])).start_mark.index)
    end = _end(node) if node.start_mark.index != node.end_mark.index else _key_end(root, loc)
    indent = _newline(text) + " " * (start - _line_start(text, start))
    return text[:start] + indent.join(lines) + text[end:]


def _is_block(node: Node) -> bool:
    return isinstance(node, MappingNode | SequenceNode) and not node.flow_style


def _key(above: Node, key: object) -> Node:
    """Give the node of a *key* in a mapping."""
    for node, _ in above.value:
        if node.value == key:
            found: Node = node
            return found
    raise LocalError(f"no key {key}")


def _drop(text: str, loc: Loc) -> str:
    root = _root(text)
    above = _at(root, loc[:-1])
    if not isinstance(above, MappingNode) or _member(above, loc[-1]) is None:
        raise LocalError(f"no key at {loc}")
    if len(above.value) == 1 and loc[:-1]:
        return _replace(text, root, loc[:-1], {})
    number = next(n for n, (key, _) in enumerate(above.value) if key.value == loc[-1])
    if above.flow_style:
        return _drop_in_brackets(text, above.value, number)
    key, value = above.value[number]
    start, end = _line_start(text, key.start_mark.index), _line_end(text, max(_end(value), key.end_mark.index))
    if not text[start : key.start_mark.index].strip():
        return text[:start] + text[end:]
    following = int(above.value[number + 1][0].start_mark.index)  # the key is behind the dash of a list
    return text[: int(key.start_mark.index)] + text[following:]


def _drop_in_brackets(text: str, members: list[tuple[Node, Node]], number: int) -> str:
    key, value = members[number]
    if number + 1 < len(members):
        return text[: key.start_mark.index] + text[members[number + 1][0].start_mark.index :]
    start = _end(members[number - 1][1]) if number else key.start_mark.index
    return text[:start] + text[_end(value) :]


def _remove(text: str, loc: Loc) -> str:
    root, number = _root(text), loc[-1]
    node = root
    for step in loc[:-1]:
        if (inner := _member(node, step)) is None:
            raise LocalError(f"nothing at {loc}")
        node = inner
    if not isinstance(node, SequenceNode) or not isinstance(number, int) or number >= len(node.value):
        raise LocalError(f"no list item at {loc}")
    if node.flow_style:
        return _remove_in_brackets(text, node.value, number)
    start, end = _line_start(text, node.value[number].start_mark.index), _line_end(text, _end(node.value[number]))
    if len(node.value) > 1:
        return text[:start] + text[end:]
    colon = _key_end(root, loc[:-1])
    return text[:colon] + " []" + text[colon:start] + text[end:]


def _root(text: str) -> Node:
    try:
        root = YAML().compose(text)
    except YAMLError:
        raise LocalError("spliced into what is not YAML") from None
    if not isinstance(root, MappingNode):
        raise LocalError("spliced into a document that is not a mapping")
    return root


def _at(root: Node, loc: Loc) -> Node | None:
    """Give the node at *loc*, or None."""
    node: Node | None = root
    for step in loc:
        node = _member(node, step) if node else None
    return node


def _member(node: Node, step: str | int) -> Node | None:
    """Give the node one step below, or None."""
    if isinstance(node, MappingNode):
        return next((value for key, value in node.value if key.value == step), None)
    if isinstance(node, SequenceNode) and isinstance(step, int) and step < len(node.value):
        found: Node = node.value[step]
        return found
    return None


def _key_end(root: Node, loc: Loc) -> int:
    """Give the position after the colon of the key at *loc*."""
    node = _at(root, loc[:-1])
    if isinstance(node, MappingNode):
        for key, _ in node.value:
            if key.value == loc[-1]:
                mark = key.end_mark
                return int(mark.index) + str(mark.buffer)[mark.index :].index(":") + 1
    raise LocalError(f"no key at {loc}")


def _end(node: Node) -> int:
    """Give the position where the text of *node* ends. The mark of a block is after the comments that follow it."""
    if isinstance(node, MappingNode | SequenceNode) and not node.flow_style and node.value:
        last = node.value[-1]
        if not isinstance(last, tuple):
            return _end(last)
        key, value = last
        empty = isinstance(value, ScalarNode) and not value.value and value.style is None
        return int(key.end_mark.index) + 1 if empty else _end(value)
    return int(node.end_mark.index)


def _end_with_comments(text: str, node: Node, column: int) -> int:
    """Give the end of a block with the comments behind it that are indented beyond *column*.

    They belong to its last item, such as a server that an operator can bring in by removing the ``#``.
    """
    at = _end(node)
    while (start := _line_end(text, at)) < len(text):
        line = text[start : _line_end(text, start)].rstrip()
        if not line.lstrip(" ").startswith("#") or len(line) - len(line.lstrip(" ")) <= column:
            break
        at = start + len(line)
    return at


def _line_start(text: str, index: int) -> int:
    return text.rfind("\n", 0, index) + 1


def _line_end(text: str, index: int) -> int:
    """Give the position after the line that contains *index*, so that a comment at its end stays on that line."""
    found = text.find("\n", index)
    return len(text) if found < 0 else found + 1


def _newline(text: str) -> str:
    return "\r\n" if "\r\n" in text else "\n"


def _insert_lines(text: str, index: int, column: int, lines: list[str]) -> str:
    """Insert *lines*, indented to *column*, after the line that contains *index*."""
    at = _line_end(text, index)
    broken = text[:at].endswith("\n")
    newline = _newline(text)
    inserted = "".join(f"{' ' * column}{line}{newline}" for line in lines)
    return text[:at] + ("" if broken else newline) + inserted + text[at:]


def _add_member(text: str, node: Node, key: str, value: object) -> str:
    if not isinstance(node, MappingNode):
        raise LocalError(f"no mapping to put {key} into")
    if node.flow_style:
        return _insert_in_brackets(text, node, f"{key}: {written(value)}")
    return _add_lines(text, node, block_of_key(key, value))


def _add_lines(text: str, node: Node, lines: list[str]) -> str:
    """Add the lines of a member to a block. To the document itself they are added after its last comment."""
    column = node.start_mark.column
    at = len(text.rstrip()) if column == 0 else _end_with_comments(text, node, column)
    return _insert_lines(text, at, column, lines)


def _add_items(text: str, node: SequenceNode, items: Sequence[object]) -> str:
    if node.flow_style:
        return _insert_in_brackets(text, node, ", ".join(map(written, items)))
    column = node.start_mark.column
    lines = [line for item in items for line in _dashed(item)]
    return _insert_lines(text, _end_with_comments(text, node, column), column, lines)


def _insert_in_brackets(text: str, node: Node, inserted: str) -> str:
    closing = node.end_mark.index - 1
    before = text[:closing].rstrip()
    comma = "" if before[-1] in "[{," else ","
    space = "" if before[-1] in "[{" else " "
    return before + comma + space + inserted + text[len(before) :].lstrip(" ")


def _fill(text: str, above: MappingNode, key: str, node: Node, items: Sequence[object]) -> str:
    """Insert the first items of a key in a block whose value is missing or ``[]``. A comment on its line stays."""
    colon, lines = _key_end(above, (key,)), block_of_key(key, [*items])
    empty = isinstance(node, SequenceNode)
    start, end = (node.start_mark.index, node.end_mark.index) if empty else (colon, colon)
    if len(lines) == 1:
        return text[:colon] + lines[0].removeprefix(f"{key}:") + text[end if empty else colon :]
    return _insert_lines(text[:start].rstrip(" ") + text[end:], colon - 1, above.start_mark.column, lines[1:])


def _remove_in_brackets(text: str, items: list[Node], number: int) -> str:
    node = items[number]
    if number + 1 < len(items):
        return text[: node.start_mark.index] + text[items[number + 1].start_mark.index :]
    start = items[number - 1].end_mark.index if number else node.start_mark.index
    return text[:start] + text[node.end_mark.index :]
