"""An emergency: a version that only blocks an organisation; the draft is ignored."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from sipmesh.errors import LocalError, OperatorError
from sipmesh.sip.text import ascii_lower
from sipmesh.topology.document.changes import block_partner
from sipmesh.topology.document.yaml_edit import rewritten
from sipmesh.topology.versions.load_published import load_published
from sipmesh.topology.versions.publication import Draft

if TYPE_CHECKING:
    from pathlib import Path

    from sipmesh.topology.versions.publication import Publication


def blocking(old: Publication, name: str, folder: Path) -> Draft | None:
    """Return the version after *old* that blocks *name*: a partner's domain or edge, or any other domain.

    A blocked partner is removed together with the anchors that only this partner has. Returns None if *name* is blocked
    already. Raises `OperatorError` if it cannot be blocked.
    """
    file = folder / f"topology version {old.number}"
    try:
        text = _blocked(old.topology, name, file)
    except LocalError as wrong:
        remedy = "add it to `federation.blocked` in the draft, and publish the draft"
        raise OperatorError(
            f"version {old.number} has a YAML form that sipmesh cannot edit ({wrong}); {remedy}"
        ) from None
    if text == old.topology:
        return None
    files = _still_named(old, ascii_lower(name), folder)
    return Draft(load_published(replace(old, topology=text, files=files), folder), text, files)


def _blocked(text: str, name: str, file: Path) -> str:
    """Return the document with *name* blocked. A form that cannot be edited loses its comments: the block must not wait."""
    try:
        return block_partner(text, name, file)
    except LocalError:
        return block_partner(rewritten(text), name, file)


def _still_named(old: Publication, name: str, folder: Path) -> dict[str, bytes]:
    """Return the anchor files of the version that our authority or a partner other than *name* uses."""
    topology = load_published(old, folder).topology
    partners = (partner for partner in topology.federation.partners if name not in partner.identities)
    named = {name for entry in (topology.authority, *partners) for name in entry.anchors}
    named.update(topology.authority.devices)
    return {file: content for file, content in old.files.items() if file in named}
