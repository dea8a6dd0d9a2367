"""An emergency: a version that blocks an organisation, and is otherwise the version in force, whatever stands in the draft."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from sipmesh.errors import LocalError, OperatorError
from sipmesh.sip.text import ascii_lower
from sipmesh.topology.document.changes import block_partner
from sipmesh.topology.versions.load_published import load_published
from sipmesh.topology.versions.publication import Draft

if TYPE_CHECKING:
    from pathlib import Path

    from sipmesh.topology.versions.publication import Publication


def blocking(old: Publication, name: str, folder: Path) -> Draft | None:
    """The version after *old* that blocks *name*, a partner's domain or edge or any other domain.

    A partner of that name goes with the anchors that it alone has. None where *name* is blocked already. Raises `OperatorError`
    where it cannot be blocked.
    """
    try:
        text = block_partner(old.topology, name, folder / f"topology version {old.number}")
    except LocalError as wrong:
        remedy = "add it to `federation.blocked` in the draft, and publish the draft"
        raise OperatorError(
            f"version {old.number} has a YAML form that sipmesh cannot edit ({wrong}); {remedy}"
        ) from None
    if text == old.topology:
        return None
    files = _still_named(old, ascii_lower(name), folder)
    return Draft(load_published(replace(old, topology=text, files=files), folder), text, files)


def _still_named(old: Publication, name: str, folder: Path) -> dict[str, bytes]:
    """The anchors that the version embeds and that somebody else than *name* has."""
    topology = load_published(old, folder).topology
    partners = (partner for partner in topology.federation.partners if name not in partner.identities)
    named = {anchor for entry in (topology.authority, *partners) for anchor in entry.anchors}
    return {file: content for file, content in old.files.items() if file in named}
