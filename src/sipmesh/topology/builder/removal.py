"""Removals from the draft: a pool, a server, a SIP domain or a site, by name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sipmesh.errors import OperatorError
from sipmesh.topology.builder.outline import Kind, Outline
from sipmesh.topology.document import yaml_edit

if TYPE_CHECKING:
    from pathlib import Path

BLOCKED: Final = ("federation", "blocked")
"""The place of the blocked names in the document."""


def remove(text: str, name: str, file: Path, kind: Kind | None = None) -> str:
    """Remove what has *name*; a pool and its only server of the same name are removed together.

    *kind* chooses where a server or domain shares its name with something else. What still refers to the name is a problem of
    the new document. Raises `OperatorError` for an unknown name, and for the only server of a pool.
    """
    outline = Outline(text, file)
    found = [entry for entry in outline.named(name) if kind is None or entry.kind is kind]
    if not found:
        known = [entry.name for entry in (*outline.pools, *outline.servers, *outline.domains, *outline.sites)]
        raise outline.unknown(name, known, f"a {kind}" if kind else "a pool, server, domain or site")
    entry = found[0]
    if entry.kind is Kind.SERVER and entry.pool is not None:
        mates = [server for server in outline.servers if server.pool and server.pool.name == entry.pool.name]
        if len(mates) == 1:
            remedy = f"to remove the pool: sipmesh topology remove {entry.pool.name}"
            raise OperatorError(f"{entry.name} is the only server of {entry.pool.name}; {remedy}")
    return yaml_edit.remove(text, entry.loc)


def remove_partner(text: str, domain: str, file: Path) -> str:
    """Remove the partner with that *domain*, without blocking it. Raises `OperatorError` if there is none."""
    return yaml_edit.remove(text, Outline(text, file).partner(domain).loc)


def blocked_names(text: str, file: Path) -> list[str]:
    """Return the blocked names, in lower case and in the order of the document."""
    return [str(item).lower() for item in Outline(text, file).items(BLOCKED)]
