"""The reference of the topology document, made from its JSON Schema."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from sipmesh.topology.document.schema import schema_text

HEAD = """# Topology document

All keys of `topology.yaml`, from its JSON Schema ([topology.schema.json](../topology.schema.json)). An unknown key is an error.
An editor that knows JSON Schema completes and checks the document. `sipmesh topology schema` prints the schema.
How to change a topology: [Change the topology](../howto/change-the-topology.md).
"""
FIRST = ("Pool", "Server", "Ports", "Outside", "AuthorityEntry", "Federation", "Partner", "Dns", "Storage")
"""The parts in the order in which an operator meets them; others follow by name."""

Schema = dict[str, Any]


def page() -> str:
    """Give the page as Markdown: the document, then each of its parts."""
    schema: Schema = json.loads(schema_text())
    parts: Schema = schema["$defs"]
    names = [name for name in FIRST if name in parts] + sorted(parts.keys() - set(FIRST))
    return "\n".join([HEAD, section("The document", schema), *(section(name, parts[name]) for name in names)])


def section(title: str, part: Schema) -> str:
    """Give the section of one part: its keys, or the values that it may have."""
    lines = [f"## {title}", "", part.get("description", ""), ""]
    if "enum" in part:
        return "\n".join([*lines, "One of: " + ", ".join(f"`{value}`" for value in part["enum"]) + ".", ""])
    required = part.get("required", ())
    rows = [row(key, value, key in required) for key, value in part["properties"].items()]
    return "\n".join([*lines, "| key | value | what it is | default |", "| --- | --- | --- | --- |", *rows, ""])


def row(key: str, value: Schema, required: bool) -> str:  # noqa: FBT001 - one row of one table
    """Give the row of one key."""
    what = " ".join(value.get("description", "").split())
    default = value.get("default")
    shown = "required" if required else "" if default in (None, {}, [], "") else f"`{json.dumps(default)}`"
    shown = shown if not isinstance(default, dict) else ""
    return f"| `{key}` | {' or '.join(dict.fromkeys(kinds(value)))} | {what} | {shown} |"


def kinds(value: Schema) -> Iterator[str]:
    """Give what a value may be, in words that link to the part where there is one."""
    if "$ref" in value:
        name = value["$ref"].rpartition("/")[2]
        yield f"[{name}](#{name.lower()})"
    elif value.get("type") == "array":
        yield f"list of {' or '.join(dict.fromkeys(kinds(value['items'])))}"
    elif "const" in value:
        yield f"`{value['const']}`"
    elif "anyOf" in value and "type" not in value:
        yield from (kind for one in value["anyOf"] for kind in kinds(one) if kind != "null")
    else:
        yield plain(value)


def plain(value: Schema) -> str:
    """Name a value without parts, with its bounds."""
    kind = {"string": "text", "integer": "number", "boolean": "`true` or `false`"}.get(
        value.get("type", ""), value.get("type", "")
    )
    formats = {one.get("format") for one in value.get("anyOf", ())}
    if formats & {"ipv4", "ipv6"}:
        return "IP address"
    if "minimum" in value and "maximum" in value:
        return f"{kind}, {value['minimum']} to {value['maximum']}"
    return str(kind)
