"""The reference of log events, made from the places in the source that write them."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

SOURCE = Path(__file__).resolve().parents[2] / "src" / "sipmesh"
LEVELS = ("debug", "info", "warning", "error")
HEAD = """<!-- made by tools/docs/reference.py: make reference -->

# Log events

A server writes one line of JSON for each event to its standard error; on a terminal the same line is coloured text.
Each line has `event`, `level`, `timestamp` (UTC) and `server`, and the fields of the table. `serve --log-level` sets the level.
Lines that peers cause are limited: see [Limits](limits.md). The field `again` says how many lines a summary stands for.
What to watch: [Monitor a network](../howto/monitor.md).

Some texts depend on the case, and are not in the table. What expires: `comes to its end`, `has ended`, `is old`, `is out of
reach`, `cannot be used`, with `what`, `name`, `ends`, `left`, `stops` and `remedy`. CRLs from files: `lists taken`, with
`files`, `closed` and `faults`.

| event | level | fields | where it is written |
| --- | --- | --- | --- |
"""


@dataclass(frozen=True, order=True)
class Event:
    """One event: its text, its level, the names of its fields, and the module that writes it."""

    text: str
    level: str
    fields: tuple[str, ...]
    module: str


def page() -> str:
    """Give the page as Markdown: one row for each event of each module, by its text."""
    return HEAD + "".join(f"{row(event)}\n" for event in sorted(set(events())))


def row(event: Event) -> str:
    """Give the row of one event."""
    fields = ", ".join(f"`{name}`" for name in event.fields)
    return f"| `{event.text}` | {event.level} | {fields} | `{event.module}` |"


def events() -> Iterator[Event]:
    """Give every event whose text is written where it is logged, or is a constant of that module."""
    for file in sorted(SOURCE.rglob("*.py")):
        tree, module = ast.parse(file.read_text("utf-8")), file.relative_to(SOURCE).as_posix()
        known = dict(constants(tree))
        for call in ast.walk(tree):
            if isinstance(call, ast.Call) and (level := level_of(call)) and (text := text_of(call, known)):
                yield Event(
                    text, level, tuple(one.arg for one in call.keywords if one.arg and one.arg != "exc_info"), module
                )


def constants(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """Give the texts that a module has names for."""
    for node in tree.body:
        if isinstance(node, ast.Assign | ast.AnnAssign) and isinstance(node.value, ast.Constant):
            names = node.targets if isinstance(node, ast.Assign) else [node.target]
            yield from ((name.id, str(node.value.value)) for name in names if isinstance(name, ast.Name))


def text_of(call: ast.Call, known: dict[str, str]) -> str:
    """Give the text of the event, the last positional argument; empty where it is computed."""
    last = call.args[-1] if call.args else None
    if isinstance(last, ast.Name):
        return known.get(last.id, "")
    return last.value if isinstance(last, ast.Constant) and isinstance(last.value, str) else ""


def level_of(call: ast.Call) -> str:
    """Give the level of a call of a log, empty where it is no such call."""
    if not isinstance(call.func, ast.Attribute) or call.func.attr not in LEVELS:
        return ""
    receiver = call.func.value
    name = (
        receiver.attr if isinstance(receiver, ast.Attribute) else receiver.id if isinstance(receiver, ast.Name) else ""
    )
    return call.func.attr if name.lstrip("_") == "log" else ""
