"""The topology that a supervisor gives its workers: the topology in force, even if the files have changed meanwhile."""

from __future__ import annotations

from base64 import b64decode, b64encode
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sipmesh.topology.document.load import load_text
from sipmesh.topology.document.named_files.crl_cache import large_lists_later
from sipmesh.topology.document.named_files.trust_anchors import embedded_anchors
from sipmesh.topology.document.parts.stores import Storage

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sipmesh.topology.document.load import Loaded


def packed(loaded: Loaded, storage: Storage | None = None) -> dict[str, Any]:
    """Return a topology in a form that JSON can carry. *storage* is that of the server's start."""
    files = loaded.embedded
    return {
        "file": str(loaded.file),
        "content": loaded.content.decode(),
        "number": loaded.number,
        "digest": loaded.digest,
        "storage": None if storage is None else storage.model_dump(mode="json"),
        "embedded": None if files is None else {name: b64encode(files[name]).decode() for name in files},
    }


def unpacked(given: Mapping[str, Any]) -> Loaded:
    """Load what `packed` has made; the supervisor has verified its signature. Raises `OperatorError`."""
    files = given["embedded"]
    anchors = None if files is None else {name: b64decode(files[name]) for name in files}
    with large_lists_later():
        read = None if anchors is None else embedded_anchors(anchors)
        loaded = load_text(given["content"].encode(), Path(given["file"]), read, published=bool(given["number"]))
    return replace(loaded, number=given["number"], digest=given["digest"], embedded=anchors)


class GivenVersion:
    """The source of a worker's topology: what the supervisor has given last. Implements `TopologySource`."""

    def __init__(self, given: Mapping[str, Any]) -> None:
        self.given = given

    @property
    def storage(self) -> Storage | None:
        """What the other processes of the server have opened at their start."""
        found = self.given["storage"]
        return None if found is None else Storage.model_validate(found)

    def load(self) -> Loaded:
        """Load it; raises `OperatorError`."""
        return unpacked(self.given)
