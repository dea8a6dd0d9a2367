"""Small edits of a YAML text. All other characters, such as the operator's comments, stay the same.

An edit inserts or removes text at the position that the parser reports for a node. In some YAML forms (comments inside
brackets, block scalars) this may fail. So the new text is parsed and compared with the expected value. If they differ,
LocalError is raised.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from sipmesh.errors import LocalError, OperatorError
from sipmesh.topology.document.yaml_tree import parse

if TYPE_CHECKING:
    from sipmesh.topology.document.yaml_tree import Loc

# Valid without quotes in YAML 1.1 and 1.2, inside and outside of brackets. Other values are written as JSON, which is YAML.
_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9._/-]*(?::[0-9]{1,5})?")
_NOT_TEXT = frozenset({"true", "false", "yes", "no", "on", "off", "null", "y", "n"})
_WIDTH = 100
"""Maximum columns of a line. A longer value is written as a block."""


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
    return _checked(_append(text, loc, item), _appended(_plain(text), loc, item))


def remove(text: str, loc: Loc) -> str:
    """Remove the item at *loc* from its list. Without the last item the list is ``[]``."""
    return _checked(_remove(text, loc), _removed(_plain(text), loc))


def _checked(text: str, wanted: object) -> str:
    """Return *text* if its value is *wanted*; otherwise raise LocalError."""
    try:
        if _plain(text) == wanted:
            return text
    except OperatorError as wrong:
        raise LocalError(f"the splice broke the document: {wrong}") from None
    raise LocalError("the splice would say something else")


def _plain(text: str) -> object:
    return parse(text.encode(), Path("topology"))[0].plain()


def _appended(value: object, loc: Loc, item: object) -> object:
    """Give the expected value with *item* at the end of the list at *loc*."""
    if not loc:
        return (*(value if isinstance(value, tuple) else ()), _frozen(item))
    if isinstance(value, tuple):
        return tuple(_appended(inner, loc[1:], item) if n == loc[0] else inner for n, inner in enumerate(value))
    known = value if isinstance(value, dict) else {}
    return {**known, loc[0]: _appended(known.get(loc[0]), loc[1:], item)}


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


def _frozen(item: object) -> object:
    if isinstance(item, dict):
        return {key: _frozen(value) for key, value in item.items()}
    return tuple(map(_frozen, item)) if isinstance(item, list | tuple) else item


def _append(text: str, loc: Loc, item: object) -> str:
    root = _root(text)
    node, missing = root, loc
    while missing and (inner := _member(node, missing[0])) is not None:
        node, missing = inner, missing[1:]
    if missing:
        value: object = [item]
        for key in reversed(missing[1:]):
            value = {key: value}
        return _add_member(text, node, str(missing[0]), value)
    above = _at(root, loc[:-1])
    if isinstance(above, MappingNode) and not above.flow_style and not (isinstance(node, SequenceNode) and node.value):
        return _fill(text, above, str(loc[-1]), node, item)
    if isinstance(node, SequenceNode):
        return _add_item(text, node, item)
    colon = _key_end(root, loc)
    return text[:colon] + f" [{written(item)}]" + text[colon:]


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
    except YAMLError as wrong:
        raise LocalError(f"spliced into what is not YAML: {wrong}") from None
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
    return _insert_lines(text, _end(node), node.start_mark.column, block_of_key(key, value))


def _add_item(text: str, node: SequenceNode, item: object) -> str:
    if node.flow_style:
        return _insert_in_brackets(text, node, written(item))
    return _insert_lines(text, _end(node), node.start_mark.column, _dashed(item))


def _insert_in_brackets(text: str, node: Node, inserted: str) -> str:
    closing = node.end_mark.index - 1
    before = text[:closing].rstrip()
    comma = "" if before[-1] in "[{," else ","
    space = "" if before[-1] in "[{" else " "
    return before + comma + space + inserted + text[len(before) :].lstrip(" ")


def _fill(text: str, above: MappingNode, key: str, node: Node, item: object) -> str:
    """Insert the first item of a key in a block whose value is missing or ``[]``. A comment on its line stays."""
    colon, lines = _key_end(above, (key,)), block_of_key(key, [item])
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
