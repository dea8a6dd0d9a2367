"""Changes of single keys of the draft, written as ``KEY=VALUE``, ``KEY+=ITEM``, ``KEY-=ITEM`` or ``KEY=`` (remove the key)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from sipmesh.errors import OperatorError
from sipmesh.topology.builder.outline import Entry, Kind, Outline
from sipmesh.topology.document import yaml_edit, yaml_tree
from sipmesh.topology.document.changes import add_partner
from sipmesh.topology.document.model import Topology
from sipmesh.topology.document.parts.federation import Partner
from sipmesh.topology.document.parts.part import Part
from sipmesh.topology.document.parts.pool import Pool
from sipmesh.topology.document.parts.server import Server
from sipmesh.topology.document.report import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from sipmesh.topology.document.yaml_tree import Loc

NETWORK = "network"
"""The name for the keys at the top of the draft; no pool or server has a name without a dot."""

_FORM = re.compile(r"([a-z_]+(?:\.[A-Za-z0-9_-]+)*)(\+?-?)=(.*)", re.DOTALL)
_DIGITS = re.compile(r"\+[0-9]+")
_NOT_BY_CHANGE = {
    "name": "sipmesh topology rename",
    "servers": "sipmesh topology add server",
    "pools": "sipmesh topology add pool",
}


class Act(StrEnum):
    """What an assignment does to its key."""

    SET = ""
    ADD = "+"
    TAKE = "-"


@dataclass(frozen=True, slots=True)
class Assignment:
    """One change of one key: *value* is plain, None removes the key."""

    keys: tuple[str, ...]
    act: Act
    value: object

    @classmethod
    def read(cls, text: str) -> Assignment:
        """Read ``ports.client=5063``; raises `OperatorError` if the text has another form."""
        found = _FORM.fullmatch(text)
        if found is None or found[2] not in set(Act):
            raise OperatorError(
                f"{text!r} is not a change of a key; write KEY=VALUE, KEY+=ITEM, KEY-=ITEM, or KEY= to remove it"
            )
        keys = tuple(found[1].split("."))
        if keys[0] in _NOT_BY_CHANGE:
            raise OperatorError(f"{keys[0]!r} has a command of its own: {_NOT_BY_CHANGE[keys[0]]}")
        return cls(keys, Act(found[2]), _value(found[3], text))


def _value(written: str, text: str) -> object:
    """Read a value as YAML, on one line."""
    if not written.strip():
        return None
    if "\n" in written or "\r" in written:
        raise OperatorError(f"{text!r} has a line break; write the value on one line")
    if _DIGITS.fullmatch(written):
        return written  # a telephone number, or its first digits: YAML reads +49 as the number 49
    root, problems = yaml_tree.parse(f"v: {written}".encode(), Path("the value"))
    plain = root.plain()
    if problems or not isinstance(plain, dict) or set(plain) != {"v"}:
        raise OperatorError(f"{written!r} is not a value; write text, a number, true, false, [a, b] or {{key: value}}")
    return plain["v"]


def read_of_partner(texts: Iterable[str]) -> list[Assignment]:
    """Read changes of the keys of a partner; raises `OperatorError` for an unknown key."""
    read = [Assignment.read(text) for text in texts]
    must_be_known(Partner, "partner", read)
    return read


def add_partner_with(text: str, partner: Mapping[str, object], further: Iterable[Assignment]) -> str:
    """Add *partner*, with *further* keys. Raises `OperatorError`."""
    added = add_partner(text, partner)
    domains = partner["domains"]
    name = str(domains[0]) if isinstance(domains, list | tuple) else ""
    return assign(added, Outline(added, Path("the draft")).partner(name), further)


def assign(text: str, entry: Entry | None, assignments: Iterable[Assignment]) -> str:
    """Apply *assignments* to an *entry* of the draft, None for the whole document. Raises `OperatorError`."""
    loc: Loc = ()
    if entry is not None:
        loc = entry.loc
        if entry.short:
            text = yaml_edit.put(text, loc, {"name": entry.name})
    for assignment in assignments:
        text = _assigned(text, loc, assignment)
    return text


def _assigned(text: str, loc: Loc, assignment: Assignment) -> str:
    outline = Outline(text, Path("the draft"))
    where: Loc = (*loc, *assignment.keys)
    present, key = outline.plain(where), ".".join(assignment.keys)
    match assignment.act:
        case Act.SET if assignment.value is None:
            if present is None:
                raise OperatorError(f"`{key}` is not in the draft there; nothing to remove")
            return yaml_edit.drop(text, where)
        case Act.SET:
            return yaml_edit.put(text, where, assignment.value)
        case Act.ADD:
            return yaml_edit.append(text, where, assignment.value)
    items = present if isinstance(present, tuple) else ()
    found = [n for n, item in enumerate(items) if item == assignment.value]
    if not found:
        known = [str(item) for item in items]
        remedy = did_you_mean(str(assignment.value), known, f"it has: {', '.join(known) or 'nothing'}")
        raise OperatorError(f"`{key}` has no {str(assignment.value)!r}; {remedy}")
    return yaml_edit.remove(text, (*where, found[0]))


def change(text: str, name: str, assignments: Sequence[Assignment], file: Path) -> str:
    """Change keys of the pool, server or partner *name*, or of the whole `NETWORK`.

    Where a pool and its only server share the name, the keys decide: a key of a server is set there. Raises `OperatorError`.
    """
    if name.lower() == NETWORK:
        must_be_known(Topology, "network", assignments)
        return assign(text, None, assignments)
    entry = _target(Outline(text, file), name, assignments)
    must_be_known(_MODELS[entry.kind], entry.kind, assignments)
    return assign(text, entry, assignments)


_MODELS: dict[Kind, type[Part]] = {Kind.POOL: Pool, Kind.SERVER: Server, Kind.PARTNER: Partner}


def _target(outline: Outline, name: str, assignments: Sequence[Assignment]) -> Entry:
    found = [entry for entry in outline.named(name) if entry.kind in _MODELS]
    if not found:
        if name in Topology.model_fields:
            keys = " ".join(f"{name}.{'.'.join(assignment.keys)}=VALUE" for assignment in assignments)
            raise OperatorError(f"{name!r} is a key of the network; write: sipmesh topology change {NETWORK} {keys}")
        known = [entry.name for entry in (*outline.pools, *outline.servers)]
        raise outline.unknown(name, known, "a pool or server")
    wanted = {assignment.keys[0] for assignment in assignments}
    of_server = next((entry for entry in found if entry.kind is Kind.SERVER), None)
    if of_server is not None and wanted <= set(Server.model_fields):
        return of_server
    return found[0]


def must_be_known(model: type[Part], what: str, assignments: Iterable[Assignment]) -> None:
    """Raise `OperatorError` with the nearest key for an assignment whose key *model* does not have; *what* names the part."""
    for assignment in assignments:
        key = assignment.keys[0]
        if key not in model.model_fields:
            remedy = did_you_mean(key, model.model_fields, f"known keys: {', '.join(model.model_fields)}")
            raise OperatorError(f"a {what} has no key {key!r}; {remedy}")
