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
    from sipmesh.pki.generations import Generations
    from sipmesh.storage.users import Users
    from sipmesh.topology.document import Loaded
    from sipmesh.topology.view import ServerView

HERE = Path("topology.yaml")
CA = "ca"

TopologyFile = Annotated[
    Path, typer.Option("--topology", "-t", envvar="SIPMESH_TOPOLOGY", metavar="FILE", help="The topology document.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for a program.")]


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
        from sipmesh.server.control import STATE

        return self.folder / STATE

    def load(self) -> Loaded:
        """Read the topology; raises `OperatorError` with everything that is wrong in it."""
        from sipmesh.topology.document import load

        return load(self.file)

    def view(self, server: str) -> ServerView:
        """The topology as one of its servers sees it; raises `OperatorError` with the nearest name for an unknown one."""
        from sipmesh.topology.view import view

        return view(self.load(), server)

    def ca(self) -> EnterpriseCa:
        """The CA that issues now; raises `OperatorError` where it lives on another machine."""
        return self.generations().current

    def generations(self) -> Generations:
        """The enterprise CA beside the topology, with those before and after it; raises `OperatorError` as `ca` does."""
        from sipmesh.pki.generations import Generations

        folder = self.folder / CA
        if not Generations.are_in(folder):
            remedy = "run this where the CA is, or name its topology with --topology"
            raise OperatorError("there is no CA here", (Problem(folder, 0, "", "holds no CA", remedy),))
        return Generations(folder)

    @contextmanager
    def users(self) -> Iterator[Users]:
        """The users of the organisation."""
        from sipmesh.storage.users import Users

        users = Users(self.load().users_url)
        try:
            yield users
        finally:
            users.close()
