"""The documents that management gives to other servers: version, revocations, CRLs, certificates, users; all signed."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Final, Protocol

from sipmesh.distribution.items import Item, ItemKind, ReplicationState
from sipmesh.errors import NotLeadingError, OperatorError
from sipmesh.server.management.publishing.document_signing import sign_as
from sipmesh.server.process.clock import now_utc
from sipmesh.server.process.off_loop import off_loop
from sipmesh.server.replication.control_links import edges_behind
from sipmesh.server.replication.crl_store import CrlStore
from sipmesh.server.replication.revocation_push import REVOKED, revoked_payload
from sipmesh.server.replication.stored_users import USERS
from sipmesh.storage.seen_users import GO_ON
from sipmesh.topology.home_pools import backup_pools, home_by_default
from sipmesh.topology.versions.jose import open_signed
from sipmesh.topology.versions.publication import KIND, Publication

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from sipmesh.server.log import Log
    from sipmesh.server.management.grantor import Grantor
    from sipmesh.server.management.publishing.publisher import ManagementServer
    from sipmesh.storage.management_db import ManagementDb
    from sipmesh.trust.trusted_peer import TrustedPeer
    from sipmesh.trust.x509.certificate import CertificateId


MANY_USERS: Final = 200
"""From so many users a thread computes their documents: fewer take about 10 ms."""

RESTORE: Final = "find out who can write to the database of users; restore the user from your backup"

MOST_OF_POOL: Final = 4
"""Changes of users that are kept for one pool, each since another number. Each can have all users of the pool."""


class Directory(Protocol):
    """The users, as management gives them to the servers of their pools."""

    def refresh(self) -> frozenset[str]:
        """Read what has changed; blocks until the database has answered. Returns what has changed, empty if nothing has."""

    def set_backups(self, backups: Mapping[str, str]) -> None:
        """Record the backup pool of each pool that has one; blocks until the database has answered."""

    def documents(self, organisation: str, pool: str, otherwise: str, *, since: int = 0) -> Sequence[bytes]:
        """Return what has changed for *pool* since number *since*, as payloads that have to be signed."""

    def places(self) -> tuple[frozenset[str], frozenset[str]]:
        """Return the home pools of users ("" for users without one), and the domains of their addresses."""

    @property
    def older(self) -> str:
        """Why the database is not used, as of the last `refresh`: this host has seen a newer state of it; "" if it is used."""

    @property
    def unusable(self) -> Mapping[str, str]:
        """Why the last documents do not have some rows, by address: no server could read them."""

    def overtake(self) -> int:
        """Raise the number of the users above all that servers can have accepted by now; returns it."""

    @property
    def number(self) -> int:
        """The number of the users' version, as of the last `refresh`."""

    @property
    def size(self) -> int:
        """How many users there are, as of the last `refresh`."""


class Offers:
    """The items for each server. *document* is the signed version in force.

    *issuing* is the certificate of the present issuing CA, in DER and base64.

    *fencing* is the fencing number of the version that is given.

    *changed* is called when items that were not ready can be sent.
    """

    def __init__(
        self,
        server: ManagementServer,
        management_db: ManagementDb,
        document: bytes,
        users: Directory,
        grantor: Grantor,
        changed: Callable[[], None],
        log: Log,
    ) -> None:
        self._server, self._management_db, self._users = server, management_db, users
        self._grantor, self._changed, self._log = grantor, changed, log
        # the changes that a thread computes, and for which server
        self._computing: dict[tuple[str, int], tuple[str, asyncio.Task[None]]] = {}
        self._crls = CrlStore(server.view.loaded.folder)
        self._of_pool: dict[tuple[str, int], list[Item]] = {}
        self._users_unsent = False  # whether a server lacks users because the database failed
        self._unusable: frozenset[str] = frozenset()  # users whose rows no server could read
        self._recorded: tuple[Mapping[str, str], int] | None = (
            None  # the backup pools in the database, and as which leader
        )
        self._revoked: Item | None = None
        self.issuing, self.fencing = "", 0
        self.offer_version(document)

    @property
    def number(self) -> int:
        """The version that every server should have in force."""
        return self._topology.number

    def offer_version(self, document: bytes) -> None:
        """Give a signed version from now on; users are computed again, since home pools may differ."""
        signed = open_signed(document, KIND)
        self._topology = Item(ItemKind.TOPOLOGY, document, number=Publication.decode(signed.payload).number)
        if signed.fencing > self.fencing:
            self._revoked = None  # servers refuse it with the number before, and have the CRL
        self.fencing = signed.fencing
        self._of_pool.clear()

    def state(self, peer: TrustedPeer) -> ReplicationState:
        """Return what we have for *peer*."""
        versions = {item.key: (item.number, item.digest) for item in self.items(peer)}
        return ReplicationState(versions, now_utc().isoformat(), self.number, self.issuing)

    def items(self, peer: TrustedPeer) -> Iterable[Item]:
        """Return all items for *peer*: pushed revocations first, then CRLs."""
        if self._revoked is not None:
            yield self._revoked
        yield from self._crls.items(self._server.view.loaded)
        yield self._topology
        for name in (peer.name, *edges_behind(self._server.view, peer.pool or "")):
            if (granted := self._grantor.item(name)) is not None:
                yield granted

    def revoke(self, revoked: frozenset[CertificateId]) -> None:
        """Push the new revocations *revoked*, ahead of the CRL that contains them."""
        payload = revoked_payload(self._server.view.organisation, int(now_utc().timestamp() * 1000), revoked)
        try:
            self._revoked = Item(ItemKind.REVOKED, self._sign(payload, REVOKED))
        except OperatorError as wrong:
            self._log.warning("revocations cannot be pushed: servers receive them with the CRL", why=str(wrong))

    # Users

    def users(self, peer: TrustedPeer, since: int) -> Iterable[Item]:
        """Return the changes of users for the pool of *peer*; each change is signed once for all servers of the pool.

        A number *since* that is higher than ours does not exist, as after a restore: it gets all users. Empty while a thread
        computes the changes of many users: *changed* is called afterwards. Empty also while the database cannot be used: the
        changes follow after the next `refresh` that succeeds.
        """
        pool, number = peer.pool, self._users.number
        since = since if since <= number else 0
        if pool is None or since == number or self._users.older:
            return ()
        if (pool, since) not in self._of_pool:
            if self._users.size >= MANY_USERS:
                self._start_computing(peer.name, pool, since)
            else:
                self._compute(pool, since)
        return self._of_pool.get((pool, since), ())

    def _compute(self, pool: str, since: int) -> None:
        try:
            self._keep(pool, since, self._changed_in(pool, since))
        except OperatorError as wrong:
            self._not_sent(pool, wrong)

    def _keep(self, pool: str, since: int, found: list[Item]) -> None:
        """Keep the changes for the other servers of the pool, and drop the oldest of too many."""
        self._of_pool[pool, since] = found
        kept = [key for key in self._of_pool if key[0] == pool]
        for key in kept[:-MOST_OF_POOL]:
            del self._of_pool[key]

    def _start_computing(self, server: str, pool: str, since: int) -> None:
        """Compute in a thread, unless that is done already; for one *server* only one at a time."""
        if (pool, since) in self._computing or server in {busy for busy, _ in self._computing.values()}:
            return
        computing = self._compute_in_thread(pool, since)
        self._computing[pool, since] = server, asyncio.get_running_loop().create_task(computing)

    async def _compute_in_thread(self, pool: str, since: int) -> None:
        number = self._users.number
        try:
            found = await off_loop(self._changed_in, pool, since)
        except OperatorError as wrong:
            self._not_sent(pool, wrong)
            return
        finally:
            del self._computing[pool, since]
        if self._users.number == number:  # otherwise they are computed again
            self._keep(pool, since, found)
        self._changed()

    def _not_sent(self, pool: str, wrong: OperatorError) -> None:
        self._users_unsent = True
        self._log.warning("users not sent yet", pool=pool, why=str(wrong))

    def close(self) -> None:
        """Compute nothing more."""
        for _, task in list(self._computing.values()):
            task.cancel()

    def _changed_in(self, pool: str, since: int) -> list[Item]:
        topology, number = self._server.view.loaded.topology, self._users.number
        payloads = self._users.documents(topology.organisation, pool, home_by_default(topology), since=since)
        self._tell_unusable(self._users.unusable)
        signed = (self._sign(payload, USERS) for payload in payloads)
        return [Item(ItemKind.USERS, document, str(part), number) for part, document in enumerate(signed)]

    def _tell_unusable(self, unusable: Mapping[str, str]) -> None:
        """Log once for each user that no server could read the user's row."""
        for aor in sorted(unusable.keys() - self._unusable):
            self._log.error("user cannot be read, and is left out", user=aor, why=unusable[aor], remedy=RESTORE)
        self._unusable |= unusable.keys()

    async def refresh_users(self) -> bool:
        """Read changes of users; returns True if there is something new to send.

        If the database cannot be reached, this logs a warning and returns False.
        """
        before, was_older = self._users.number, self._users.older
        try:
            await asyncio.to_thread(self._read_users, backup_pools(self._server.view.loaded.topology))
        except OperatorError as wrong:
            self._log.warning("user database cannot be read: the known users stay in force", why=str(wrong))
            return False
        if self._users.older != was_older:
            self._tell_older(self._users.older)
        if self._users.older or (self._users.number == before and not self._users_unsent and not was_older):
            return False
        self._users_unsent = False
        self._of_pool.clear()
        return True

    @property
    def users_number(self) -> int:
        """The number of the users that are given."""
        return self._users.number

    @property
    def users_fault(self) -> str:
        """Why no changes of users are given, "" if they are."""
        return self._users.older

    def _tell_older(self, why: str) -> None:
        if why:
            self._log.error("users are not given to servers any more", why=why, remedy=GO_ON)
        else:
            self._log.info("users are given to servers again")

    def _read_users(self, backups: Mapping[str, str]) -> None:
        """Read the users. The leader records the *backups* of the version in force first. A thread does so."""
        lease = self._management_db.lease
        wanted = (backups, lease.fencing)
        self._users.refresh()
        is_new = wanted != self._recorded and not self._users.older
        if is_new and (lease.fencing or not lease.is_of_pool):
            with suppress(NotLeadingError), self._management_db.leading():  # another one records those of its version
                self._users.set_backups(backups)
                self._recorded = wanted
            self._users.refresh()

    def _sign(self, payload: bytes, kind: str) -> bytes:
        return sign_as(self._server.view, payload, kind, now_utc(), self._management_db.lease.fencing)
