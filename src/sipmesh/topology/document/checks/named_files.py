"""Each file that a draft names is of the kind of its key, and lives in the folder of that kind.

Versions that were published by an earlier release may name other files. They stay in force, and no new version may do so.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sipmesh.topology.document.file_kind import NamePlace
from sipmesh.topology.document.file_names import named_files

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sipmesh.topology.document.checks.checked_document import CheckedDocument
    from sipmesh.topology.document.model import Topology
    from sipmesh.topology.document.yaml_tree import Loc


def files_are_of_their_kind(document: CheckedDocument) -> None:
    """Each file is in the folder of its kind. CA keys, state, databases and files of another server are named by no key."""
    for loc, reason, remedy in misplaced_files(document.topology, document.report.file.parent):
        document.report.add(loc, reason, remedy)


def misplaced_files(topology: Topology, folder: Path) -> Iterator[tuple[Loc, str, str]]:
    """Give place, reason and remedy of each file that is not where its kind lives; *folder* is that of the organisation."""
    place = NamePlace(folder, frozenset(topology.server_names))
    for file in named_files(topology):
        if fault := place.fault(file.name, file.kind, file.server):
            yield file.loc, f"{file.name!r} {fault}", place.remedy(file.name, file.kind, file.server)
