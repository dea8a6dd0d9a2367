"""What was read from another system's configuration, and its addition to a draft."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Final

from sipmesh.errors import LocalError, OperatorError, SipmeshError
from sipmesh.topology.builder.additions import NewPool, add_domain, add_pools, add_site
from sipmesh.topology.builder.outline import Outline
from sipmesh.topology.document.changes import add_partner
from sipmesh.topology.document.named_files.read import read_or_refuse

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

LARGEST_FILE: Final = 8 << 20
"""Octets of a file that is imported; an export of a large network has some hundred kilobytes."""
MOST_SERVERS: Final = 2_000
MOST_LEFT: Final = 200
"""Lines about what could not be taken; the rest is counted."""

_NOT_LABEL = re.compile(r"[^a-z0-9-]+")


@dataclass(slots=True)
class Imported:
    """The parts that were read, and what was *left* out, each with its reason. *partners* have the keys of the document."""

    domains: list[str] = field(default_factory=list)
    sites: list[str] = field(default_factory=list)
    pools: list[NewPool] = field(default_factory=list)
    partners: list[Mapping[str, object]] = field(default_factory=list)
    left: list[str] = field(default_factory=list)

    def leave(self, what: str, why: str) -> None:
        """Record that *what* could not be taken."""
        if len(self.left) < MOST_LEFT:
            self.left.append(f"{what}: {why}")
        elif len(self.left) == MOST_LEFT:
            self.left.append("further parts are not taken, and not listed here")

    def files_of_partner(self, name: str) -> Sequence[str]:
        """Return the anchors and CRLs of the partner with this first domain; empty if none was read."""
        entry = next((partner for partner in self.partners if _name_of(partner).lower() == name.lower()), {})
        named = (entry.get(key) for key in ("anchors", "crls"))
        return [str(file) for files in named if isinstance(files, (list, tuple)) for file in files]


def read_file(file: Path) -> bytes:
    """Read a file to import; raises `OperatorError` if it cannot be read or is too large."""
    return read_or_refuse(file, LARGEST_FILE, "nothing is imported", "name the file that the other system has written")


def site_label(name: str) -> str:
    """Make a short name of the name of a site: ``Redmond (US)`` → ``redmond-us``; empty if nothing is left."""
    return _NOT_LABEL.sub("-", name.lower()).strip("-")[:63].strip("-")


def add_imported(text: str, imported: Imported, file: Path) -> str:
    """Add the parts to the draft *text*. What the draft has already, and what cannot be added, is left out."""
    outline = Outline(text, file)
    known = {entry.name for entry in (*outline.domains, *outline.sites, *outline.pools)}
    steps: list[tuple[str, Callable[[str], str]]] = []
    steps += [(name, partial(add_domain, domain=name, file=file)) for name in dict.fromkeys(imported.domains)]
    steps += [(name, partial(add_site, site=name, file=file)) for name in dict.fromkeys(imported.sites)]
    for name, add in steps:
        text = _added(text, name, known, imported, add)
    pools = [pool for pool in imported.pools if _is_new(pool.name, known, imported)]
    text = add_pools(text, pools, file, partial(_refused, imported))
    for partner in imported.partners:
        text = _added(text, _name_of(partner), known, imported, partial(add_partner, partner=partner))
    return text


def _name_of(partner: Mapping[str, object]) -> str:
    domains = partner.get("domains")
    return str(domains[0]) if isinstance(domains, list) and domains else "partner"


def _added(text: str, name: str, known: set[str], imported: Imported, add: Callable[[str], str]) -> str:
    try:
        return add(text) if _is_new(name, known, imported) else text
    except (OperatorError, LocalError) as wrong:
        _refused(imported, name, wrong)
    return text


def _is_new(name: str, known: set[str], imported: Imported) -> bool:
    """Tell whether a name is not in the draft yet, and take it."""
    if name.lower() in known:
        imported.leave(name, "the draft has it already")
        return False
    known.add(name.lower())
    return True


def _refused(imported: Imported, name: str, wrong: SipmeshError) -> None:
    why = wrong.message if isinstance(wrong, OperatorError) else f"it cannot be written ({wrong})"
    imported.leave(name, why)
