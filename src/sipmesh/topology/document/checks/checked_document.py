"""A topology during its checks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sipmesh.topology.document.yaml_tree import dotted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sipmesh.topology.document.model import Topology
    from sipmesh.topology.document.parse import Unread
    from sipmesh.topology.document.parts.pool import Pool
    from sipmesh.topology.document.parts.server import Server
    from sipmesh.topology.document.report import ProblemReport
    from sipmesh.topology.document.yaml_tree import Loc


@dataclass(frozen=True, slots=True)
class CheckedDocument:
    """A topology during its checks."""

    topology: Topology
    report: ProblemReport
    unread: Unread

    def place(self, loc: Loc) -> str:
        """Write another place for the operator."""
        entry = self.report.root.at(loc)
        return f"{dotted(entry.path)} on line {entry.line}"

    def written(self, loc: Loc) -> Loc:
        """Give the place of a key in the part at *loc*, in the document as written, even if the key is missing."""
        return (*self.report.root.at(loc[:-1]).path, loc[-1])

    def pools(self) -> Iterator[tuple[Loc, Pool]]:
        """Give all pools with their places."""
        for n, pool in enumerate(self.topology.pools):
            yield ("pools", n), pool

    def servers(self) -> Iterator[tuple[Loc, Pool, Server]]:
        """Give all servers with their places and pools."""
        for loc, pool in self.pools():
            for n, server in enumerate(pool.servers):
                yield (*loc, "servers", n), pool, server

    def is_unread(self, loc: Loc) -> bool:
        """Tell whether a part in that place could not be read. Its problem is reported already."""
        written = self.written(loc)
        return any(place[: len(written)] == written for place in self.unread.places)
