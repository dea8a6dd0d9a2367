"""Renames in the draft: a name is changed wherever the draft refers to it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sipmesh.errors import OperatorError
from sipmesh.topology.builder.numbering import full_name
from sipmesh.topology.builder.outline import Entry, Kind, Outline
from sipmesh.topology.document import yaml_edit

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sipmesh.topology.document.yaml_tree import Loc


def rename(text: str, old: str, new: str, file: Path, kind: Kind | None = None) -> str:
    """Rename the pool, server, SIP domain or site *old* to *new*, with everything that refers to it.

    A pool and its only server of the same name are renamed together, unless *kind* chooses one of them. Raises `OperatorError`
    for an unknown name.
    """
    outline = Outline(text, file)
    found = [entry for entry in outline.named(old) if kind is None or entry.kind is kind]
    if not found:
        known = [entry.name for entry in (*outline.pools, *outline.servers, *outline.domains, *outline.sites)]
        raise outline.unknown(old, known, f"a {kind}" if kind else "a pool, server, domain or site")
    before = found[0].name
    name = new.lower() if found[0].kind is Kind.SITE else full_name(new, before.partition(".")[2])
    if name == before:
        raise OperatorError(f"{name} has this name already")
    for loc in dict.fromkeys(loc for entry in found for loc in _places(outline, entry)):
        text = yaml_edit.put(text, loc, name)
    if any(entry.kind is Kind.DOMAIN for entry in found):
        text = _rename_policy(text, outline, before, name)
    return text


def _places(outline: Outline, entry: Entry) -> Iterator[Loc]:
    """Give each place of the draft that has the name of *entry* in its meaning."""
    yield entry.loc if entry.short else (*entry.loc, "name")
    if entry.kind is Kind.POOL:
        yield from _members(outline, entry.name, "next_hop")
        yield from _members(outline, entry.name, "backup_pool")
        if _is(outline.plain(("federation", "route")), entry.name):
            yield ("federation", "route")
    if entry.kind is Kind.DOMAIN:
        for loc in ((*pool.loc, key) for pool in outline.pools for key in ("speaks_for", "screens")):
            yield from ((*loc, n) for n, item in enumerate(outline.items(loc)) if _is(item, entry.name))
    if entry.kind is Kind.SITE:
        yield from _members(outline, entry.name, "site")
        yield from ((*server.loc, "site") for server in outline.servers if _is(server.value.get("site"), entry.name))


def _members(outline: Outline, name: str, key: str) -> Iterator[Loc]:
    """Give the places of *key* in pools that have the value *name*."""
    return ((*pool.loc, key) for pool in outline.pools if _is(pool.value.get(key), name))


def _is(value: object, name: str) -> bool:
    return isinstance(value, str) and value.lower() == name


def _rename_policy(text: str, outline: Outline, old: str, new: str) -> str:
    """Move the media policy of a renamed SIP domain."""
    policies = outline.plain(("media", "domains"))
    for key, policy in policies.items() if isinstance(policies, dict) else ():
        if _is(key, old):
            return yaml_edit.put(yaml_edit.drop(text, ("media", "domains", key)), ("media", "domains", new), policy)
    return text
