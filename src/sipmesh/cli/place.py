"""Where the commands find things: the topology, and beside it the CA, the users and the state of running servers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sipmesh.errors import OperatorError, Problem

if TYPE_CHECKING:
    from sipmesh.pki.authority import EnterpriseCa
    from sipmesh.pki.ca_rotation import CaGenerations
    from sipmesh.storage.users import Users
    from sipmesh.topology.document.load import Loaded
    from sipmesh.topology.view import ServerView

HERE = Path("topology.yaml")
CA = "ca"

TopologyFile = Annotated[
    Path, typer.Option("--topology", "-t", envvar="SIPMESH_TOPOLOGY", metavar="FILE", help="The topology file.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@dataclass(frozen=True, slots=True)
class Place:
    """One organisation on this machine, known by its topology *file*."""

    file: Path

    @property
    def folder(self) -> Path:
        """The folder that everything else lies in."""
        return self.file.parent

    @property
    def state(self) -> Path:
        """Where running servers have their control sockets."""
        from sipmesh.server.control_socket import STATE

        return self.folder / STATE

    def load(self) -> Loaded:
        """Read the topology as it stands in its file; on a machine that has joined, where there is none, what a server holds.

        Raises `OperatorError` with everything that is wrong in it.
        """
        from sipmesh.topology.document.load import load

        if not self.file.exists() and (held := self._held()) is not None:
            return held
        return load(self.file)

    def in_force(self) -> Loaded:
        """Read what servers go by: the newest version where one was published or is held, else the file."""
        from sipmesh.server.replication.topology_source import published_in

        found = published_in(self.folder) or self._held()
        return found if found is not None else self.load()

    def found(self) -> Loaded | None:
        """The same, None where there is nothing of the kind here."""
        from sipmesh.server.replication.document_store import held_in

        return self.in_force() if self.file.exists() or held_in(self.folder) else None

    def _held(self) -> Loaded | None:
        """The newest version that a server of this machine holds."""
        from sipmesh.server.replication.document_store import DocumentStore, held_in

        held = [DocumentStore(self.folder, name) for name in held_in(self.folder)]
        return max(held, key=lambda one: one.highest).load() if held else None

    def view(self, server: str) -> ServerView:
        """What is in force as one of its servers sees it; raises `OperatorError` with the nearest name for an unknown one."""
        from sipmesh.topology.view import view

        return view(self.in_force(), server)

    def ca(self) -> EnterpriseCa:
        """The CA that issues now; raises `OperatorError` where it lives on another machine."""
        return self.generations().current

    def generations(self) -> CaGenerations:
        """The enterprise CA beside the topology, with those before and after it; raises `OperatorError` as `ca` does."""
        from sipmesh.pki.ca_rotation import CaGenerations

        folder = self.folder / CA
        if not CaGenerations.are_in(folder):
            remedy = "run this command on the machine with the CA, or name its topology with --topology"
            raise OperatorError("there is no CA here", (Problem(folder, 0, "", "contains no CA", remedy),))
        return CaGenerations(folder)

    @contextmanager
    def users(self) -> Iterator[Users]:
        """The users of the organisation; raises `OperatorError` on a machine that is only given those that it needs."""
        from sipmesh.server.replication.document_store import held_in
        from sipmesh.server.replication.topology_source import published_in
        from sipmesh.storage.users import Users

        if published_in(self.folder) is None and held_in(self.folder):
            raise OperatorError("the user database is on the management server; run this command there")
        users = Users(self.in_force().users_url)
        try:
            yield users
        finally:
            users.close()
