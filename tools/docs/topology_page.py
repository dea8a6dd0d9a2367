"""The reference of the topology document, made from its JSON Schema."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from sipmesh.topology.document.schema import schema_text

MADE = "<!-- made by tools/docs/reference.py: make reference -->\n\n"
HEAD = f"""{MADE}# Topology document

All keys of `topology.yaml`, from its JSON Schema ([topology.schema.json](../topology.schema.json)). An unknown key is an error.
An editor that knows JSON Schema completes and checks the document. `sipmesh topology schema` prints the schema.
How to change a topology: [Change the topology](../howto/change-the-topology.md).
"""
MORE = f"""{MADE}# Further parts of the topology document

The parts that [the document](topology.md) names and that are not on its page, by name.
"""
FIRST_PAGE, SECOND_PAGE = "topology.md", "topology-parts.md"
FIRST = (
    "Pool",
    "Server",
    "Ports",
    "Outside",
    "OwnAuthority",
    "AuthorityEntry",
    "Federation",
    "Partner",
    "Dns",
    "Storage",
    "Numbers",
    "NumberClass",
    "PerUser",
    "SiteNumbers",
    "NumberRoute",
    "Trunk",
    "Account",
    "Challenge",
    "Stir",
    "Console",
)
"""The parts of the first page, in the order in which an operator meets them."""

Schema = dict[str, Any]


def pages() -> dict[str, str]:
    """Give the two pages as Markdown, by name: the document with its first parts, and the further parts."""
    schema: Schema = json.loads(schema_text())
    parts: Schema = schema["$defs"]
    pages = {
        FIRST_PAGE: tuple(name for name in FIRST if name in parts),
        SECOND_PAGE: tuple(sorted(name for name in parts.keys() - set(FIRST) if "properties" in parts[name])),
    }
    first, second = (
        [section(name, parts[name], shown(parts, pages, page)) for name in names] for page, names in pages.items()
    )
    document = section("The document", schema, shown(parts, pages, FIRST_PAGE))
    return {FIRST_PAGE: "\n".join([HEAD, document, *first]), SECOND_PAGE: "\n".join([MORE, *second])}


def shown(parts: Schema, pages: Mapping[str, tuple[str, ...]], here: str) -> dict[str, str]:
    """Give what the page *here* shows for each part: a link to its section, or the values that it may have."""
    links = {
        name: f"[{name}]({'' if page == here else page}#{name.lower()})"
        for page, names in pages.items()
        for name in names
    }
    return links | {name: values(part["enum"]) for name, part in parts.items() if "enum" in part}


def values(allowed: list[str]) -> str:
    """Say which values there are."""
    return " or ".join(f"`{value}`" for value in allowed)


def section(title: str, part: Schema, shown: Mapping[str, str]) -> str:
    """Give the section of one part: its keys."""
    required = part.get("required", ())
    rows = [row(key, value, shown, required=key in required) for key, value in part["properties"].items()]
    lines = [f"## {title}", "", part.get("description", ""), ""]
    return "\n".join([*lines, "| key | value | what it is | default |", "| --- | --- | --- | --- |", *rows, ""])


def row(key: str, value: Schema, shown: Mapping[str, str], *, required: bool) -> str:
    """Give the row of one key."""
    what = " ".join(value.get("description", "").split())
    default = value.get("default")
    none = default in (None, [], "") or isinstance(default, dict)
    said = "required" if required else "" if none else f"`{json.dumps(default)}`"
    return f"| `{key}` | {' or '.join(dict.fromkeys(kinds(value, shown)))} | {what} | {said} |"


def kinds(value: Schema, shown: Mapping[str, str]) -> Iterator[str]:
    """Give what a value may be, in words that link to the part where there is one."""
    if "$ref" in value:
        yield shown[value["$ref"].rpartition("/")[2]]
    elif value.get("type") == "array":
        yield f"list of {' or '.join(dict.fromkeys(kinds(value['items'], shown)))}"
    elif "const" in value:
        yield f"`{value['const']}`"
    elif "anyOf" in value and "type" not in value:
        yield from (kind for one in value["anyOf"] for kind in kinds(one, shown) if kind != "null")
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
