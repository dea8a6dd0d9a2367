"""Where the files of an organisation are: the topology, and beside it the CA, the users and the state of running servers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sipmesh.cli.owner import for_owner_of
from sipmesh.errors import OperatorError, Problem

if TYPE_CHECKING:
    from collections.abc import Callable

    from sipmesh.pki.authority import EnterpriseCa
    from sipmesh.pki.ca_rotation import CaGenerations
    from sipmesh.storage.users.accounts import Accounts
    from sipmesh.storage.users.device_accounts import DeviceAccounts
    from sipmesh.storage.users.user_database import Users
    from sipmesh.topology.document.load import Loaded
    from sipmesh.topology.view import ServerView

HERE = Path("topology.yaml")
CA = "ca"

TopologyFile = Annotated[
    Path,
    typer.Option(
        "--topology",
        "-t",
        envvar="SIPMESH_TOPOLOGY",
        metavar="FILE",
        help="The topology file.",
        callback=for_owner_of,
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@dataclass(frozen=True, slots=True)
class Place:
    """One organisation on this machine; *file* is its topology."""

    file: Path

    @property
    def folder(self) -> Path:
        """The folder of all files of the organisation."""
        return self.file.parent

    @property
    def state(self) -> Path:
        """The folder with the control sockets of running servers."""
        from sipmesh.server.control_socket import STATE

        return self.folder / STATE

    def load(self) -> Loaded:
        """Read the topology from its file, or on a machine that has joined from the documents of its servers.

        Raises `OperatorError` with every problem of the topology.
        """
        from sipmesh.topology.document.load import load

        if not self.file.exists() and (replicated := self._replicated()) is not None:
            return replicated
        return load(self.file)

    def in_force(self) -> Loaded:
        """Read the topology that servers use: the newest published version, or the file if no version is published.

        Raises `OperatorError` as `load` does.
        """
        from sipmesh.server.replication.topology_source import published_in

        newest = published_in(self.folder) or self._replicated()
        return newest if newest is not None else self.load()

    def found(self) -> Loaded | None:
        """Return the topology in force, None if there is no topology here."""
        from sipmesh.server.replication.document_store import held_in

        return self.in_force() if self.file.exists() or held_in(self.folder) else None

    def _replicated(self) -> Loaded | None:
        """Return the newest version that a managed server of this machine has stored, None if there is none."""
        from sipmesh.server.replication.document_store import DocumentStore, held_in

        stores = [DocumentStore(self.folder, name) for name in held_in(self.folder)]
        return max(stores, key=lambda store: store.highest).load() if stores else None

    def view(self, server: str) -> ServerView:
        """Return the topology in force from the view of one server; raises `OperatorError` for an unknown server."""
        from sipmesh.topology.view import view

        return view(self.in_force(), server)

    def ca(self) -> EnterpriseCa:
        """Return the CA that issues now; raises `OperatorError` if the CA is on another machine."""
        return self.generations().current

    def generations(self) -> CaGenerations:
        """Return all generations of the enterprise CA; raises `OperatorError` if the CA is on another machine."""
        from sipmesh.pki.ca_rotation import CaGenerations

        folder = self.folder / CA
        if not CaGenerations.are_in(folder):
            remedy = "run this command on the machine with the CA, or name its topology with --topology"
            raise OperatorError("there is no CA here", (Problem(folder, 0, "", "contains no CA", remedy),))
        return CaGenerations(folder)

    @contextmanager
    def users(self) -> Iterator[Users]:
        """Open the user database; raises `OperatorError` if the database is on another machine."""
        from sipmesh.server.replication.document_store import held_in
        from sipmesh.server.replication.topology_source import published_in
        from sipmesh.storage.seen_users import SeenUsers
        from sipmesh.storage.users.user_database import Users

        if published_in(self.folder) is None and held_in(self.folder):
            raise OperatorError("the user database is on the management server; run this command there")
        seen = SeenUsers(self.folder) if published_in(self.folder) is not None else None
        users = Users(self.in_force().users_url, in_memory=False, seen=seen)
        try:
            yield users
        finally:
            users.close()

    @contextmanager
    def devices(self) -> Iterator[DeviceAccounts]:
        """Open the invitations and devices of users; raises `OperatorError` as `accounts` does."""
        from sipmesh.cli.topology.remote_servers import must_lead, note
        from sipmesh.storage.users.device_accounts import DeviceAccounts
        from sipmesh.storage.users.invitations import Invitations

        with self.users() as users:
            topology = self.in_force().topology
            yield DeviceAccounts(Invitations(users), topology, partial(note, self), partial(must_lead, self))

    @contextmanager
    def accounts(self, end_devices: Callable[[str], int] | None = None) -> Iterator[Accounts]:
        """Open the accounts of users, whose changes are lines in the audit log; raises `OperatorError` as `users` does.

        *end_devices* is that of `Accounts`, None where no user leaves.
        """
        from sipmesh.cli.topology.remote_servers import must_lead, note
        from sipmesh.storage.users.accounts import Accounts

        with self.users() as users:
            topology, noting, leading = self.in_force().topology, partial(note, self), partial(must_lead, self)
            yield Accounts(users, topology, noting, leading, end_devices or (lambda _: 0))
