"""A real OpenLDAP server and an organisation whose draft names it: syncs are run in this process."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cli.world import Result, sipmesh
from sipmesh.server.directory.sync import DirectorySync, Looked, Taken
from sipmesh.server.management.directory_sync import directory_sync
from sipmesh.storage.management_db import ManagementDb
from sipmesh.storage.users.user_database import Users
from support.directory_ca import HOST, DirectoryCa
from support.managed import build_published, second_pool
from support.openldap import OpenLdap, write_password

if TYPE_CHECKING:
    from sipmesh.demo.forge import Forged
    from sipmesh.demo.organisation import Organisation
    from sipmesh.server.directory.directory_mirror import DirectoryMirror
    from sipmesh.storage.users.user import User
    from sipmesh.topology.document.load import Loaded

DOMAIN = "example.test"
NOTHING_MORE: Mapping[str, Any] = {}


@dataclass
class DirectoryWorld:
    """The *organisation* has the users alice and bob, who are in no directory; *ldap* has no people at the begin."""

    organisation: Organisation
    ldap: OpenLdap
    ca: DirectoryCa
    keys: dict[str, Any] = field(default_factory=dict)

    @property
    def folder(self) -> Path:
        return self.organisation.folder

    def loaded(self, **more: Any) -> Loaded:
        """The topology with the directory, *more* are further keys of it."""
        self.organisation.document["directory"] = self.ldap.keys(**self.keys, **more)
        self.organisation.write()
        return self.organisation.load()

    @contextmanager
    def opened(self, **more: Any) -> Iterator[DirectorySync]:
        """What one sync needs."""
        loaded = self.loaded(**more)
        users, management_db = Users(loaded.users_url, in_memory=False), ManagementDb(self.folder)
        try:
            yield directory_sync(loaded, users, management_db, "directory")
        finally:
            users.close()
            management_db.close()

    def look(self, at: datetime | None = None, **more: Any) -> Looked:
        """Compare, and change nothing."""
        with self.opened(**more) as sync:
            return sync.look(at or datetime.now(UTC))

    def sync(
        self, at: datetime | None = None, *, accept_loss: bool = False, more: Mapping[str, Any] = NOTHING_MORE
    ) -> Taken:
        """Sync once, as a command does."""
        at = at or datetime.now(UTC)
        with self.opened(**more) as sync, sync.alone():
            return sync.take(sync.look(at), at, accept_loss=accept_loss)

    def follow(self, mirror: DirectoryMirror, at: datetime | None = None, **more: Any) -> Taken:
        """Sync once, as a management server does that has *mirror*."""
        at = at or datetime.now(UTC)
        with self.opened(**more) as sync, sync.alone():
            return sync.take(sync.look(at, mirror.read), at)

    def type(self, *arguments: str) -> Result:
        """Run a command in the folder of the organisation."""
        return sipmesh(*arguments, "--topology", self.organisation.file)

    def users(self) -> Mapping[str, User]:
        """The users here, by the part of their address before the @."""
        users = Users(self.organisation.load().users_url)
        try:
            return {user.aor.removeprefix("sip:").partition("@")[0]: user for user in users.list()}
        finally:
            users.close()

    def with_access(self) -> set[str]:
        """The users who may log in."""
        return {name for name, user in self.users().items() if user.disabled is None}


@contextmanager
def directory_world(folder: Path, certificate: Forged | None = None, **settings: Any) -> Iterator[DirectoryWorld]:
    """Run the directory, with *certificate* or a right one; *settings* are those of `OpenLdap`."""
    ca = DirectoryCa()
    with OpenLdap(folder / "ldap", certificate or ca.server(HOST), **settings) as ldap:
        organisation = build_published(folder / "o", second_pool())
        write_password(organisation.folder)
        yield DirectoryWorld(organisation, ldap, ca, ca.write(organisation.folder))
