"""What operators do during a run: publish versions, remove and add users, revoke certificates."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from cryptography import x509

from simulation.organisations import ALGORITHMS, BEGAN, MANAGEMENT, MANAGERS, USERS
from sipmesh.demo.organisation import _lines
from sipmesh.errors import OperatorError, SipmeshError
from sipmesh.pki.authority import EnterpriseCa
from sipmesh.pki.crl.builder import Reason
from sipmesh.server.control_socket import ROLE, WHO
from sipmesh.server.management.publishing.publish import OF_HOST
from sipmesh.storage.users.user_database import Users
from support.network import BOT, EXAMPLE, POOL, POOL2

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from simulation.server import Server
    from simulation.world import World

LOST: Final = 1_000_000
"""The serial numbers of certificates that the ledger has lost begin here."""

REVOKED_S: Final = 1.1
"""A second, and a tenth for the virtual network: a message takes up to 4.5 ms, or 3 s between hosts with a fault."""

PROMISE_S: Final = 10.0
"""Within this time a removed user and a revoked certificate have no live link, where nothing is in trouble."""


class Operations:
    """The operators of example.test: *acknowledged* are the versions that management has confirmed to them."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.acknowledged: dict[int, float] = {}
        self.removed: dict[str, float] = {}
        self.locked_out: dict[str, float] = {}
        self.revoked: dict[int, float] = {}
        self.last_removed: dict[str, float] = {}
        self.moved: dict[str, float] = {}  # users who are at home in the other pool now
        self.last_moved: dict[str, float] = {}
        self.is_older = (
            False  # the database of management was restored from an older state, and no server has gone on from it yet
        )
        self.restored_at = 0.0
        self.user_changes, self.users_changed_at = 0, 0.0
        self._drafts = 0

    # Versions

    def publish(self) -> None:
        """Publish a draft that blocks one more domain."""
        leader = self.world.leader
        if leader is not None:
            self.publish_on(leader[0])

    def publish_on(self, server: Server, *, overtake: bool = False) -> None:
        """Publish on the host of *server*, whether it leads or not; *overtake* goes on from an older database."""
        self._drafts += 1
        blocked = self.world.document["federation"]["blocked"]
        blocked.append(f"evil{self._drafts}.test")
        (self.world.folders.of(server.name) / "topology.yaml").write_text("".join(_lines(self.world.document)))
        self.world.tell("operator", "publishes", f"draft {self._drafts} on {server.name}")
        self.world.inside(server, self._begin, server, overtake)

    def _begin(self, server: Server, overtake: bool) -> None:  # noqa: FBT001 - called through a context
        self.world.watch(self.world.loop.create_task(self._publish(server, overtake=overtake)))

    async def _publish(self, server: Server, *, overtake: bool) -> None:
        assert server.service is not None
        commands: Any = server.service._control
        try:
            plan = await commands.commands["plan"]({WHO: "ada (1)"})
            asked = {WHO: "ada (1)", ROLE: OF_HOST, "why": "because", "base": plan.base, "digest": plan.digest}
            asked["overtake"] = overtake
            put = await commands.commands["publish"](asked)
        except OperatorError as wrong:
            self.world.tell("operator", "refused", wrong.message)
            return
        self.acknowledged[put.version] = self.world.loop.now
        self.is_older = self.is_older and not overtake
        self.world.tell("operator", "published", f"version {put.version}")

    # The database of management

    def dump(self) -> Callable[[], None]:
        """Keep the state of the database; the returned function brings it back, as a standby that lacks the last commits."""
        content = self.world.databases.dump(MANAGEMENT)
        before = dict(self.acknowledged), dict(self.removed), dict(self.locked_out), dict(self.moved)

        def restore() -> None:
            if any(not self.world.servers[name].serves for name in MANAGERS):
                self.world.loop.call_later(1.0, restore)  # a server that starts would find another history
                return
            self.world.databases.restore(MANAGEMENT, content)
            self.acknowledged, self.removed, self.locked_out, self.moved = before
            self.is_older = True
            self._note_change()
            self.world.accounts.database_is_older()
            self.world.tell("operator", "restores", "the database of management")
            self.world.loop.call_later(3.0, self._go_on)

        return restore

    def _go_on(self) -> None:
        """Go on from an older state of the database, until that succeeds."""
        if not self.is_older:
            return
        leader = self.world.leader
        if leader is not None:
            self.publish_on(leader[0], overtake=True)
        self.world.troubled("older_database")
        self.world.loop.call_later(3.0, self._go_on)

    # Users

    def _users(self) -> Users:
        return Users(self._url())

    def _note_change(self) -> None:
        self.user_changes += 1
        self.users_changed_at = self.world.loop.now

    def _url(self) -> str | Path:
        leader = self.world.leader
        assert leader is not None
        assert leader[0].node is not None
        return leader[0].node.view.loaded.users_url

    def remove(self, user: str) -> None:
        """Remove a user; the phones of the user try to log in all the same."""
        if self.world.management is None or self.is_older:
            return
        aor = f"sip:{user}@{EXAMPLE}"
        users = self._users()
        try:
            users.remove(aor)
            self._has_changed(aor, users)
        except SipmeshError:
            return
        finally:
            users.close()
        self.removed[aor] = self.last_removed[aor] = self.world.loop.now
        self.world.tell("operator", "removes", user)

    def move(self, user: str) -> None:
        """Give a user the other pool for a home; the phones of the user still connect to the pool before."""
        aor = f"sip:{user}@{EXAMPLE}"
        if self.world.management is not None and not self.is_older and aor not in self.removed | self.moved:
            self._move(user, POOL if USERS[user] == POOL2 else POOL2)
            self.moved[aor] = self.world.loop.now

    def _move(self, user: str, pool: str) -> None:
        users, aor = self._users(), f"sip:{user}@{EXAMPLE}"
        users.move(aor, pool)
        self._note_change()
        users.close()
        self.last_moved[aor] = self.world.loop.now
        self.world.tell("operator", "moves", f"{user} to {pool}")

    def is_moving(self, aor: str) -> bool:
        """Tell whether a user is not at home where the phones connect, or was not a moment ago."""
        return aor in self.moved or self.world.loop.now - self.last_moved.get(aor, -1e9) < PROMISE_S + REVOKED_S

    def _has_changed(self, aor: str, users: Users) -> None:
        self._note_change()
        users.refresh()
        self.world.accounts.changed[aor] = users.number

    def change_password(self, user: str) -> None:
        """Give a user another password, which no phone knows."""
        self._change_password(user, "another-secret")

    def _change_password(self, user: str, password: str) -> None:
        aor = f"sip:{user}@{EXAMPLE}"
        if self.world.management is None or self.is_older or aor in self.removed:
            return
        users = self._users()
        users.set_password(aor, password, ALGORITHMS[USERS[_user(aor)]])
        self._has_changed(aor, users)
        users.close()
        self.locked_out[aor] = self.world.loop.now
        self.world.tell("operator", "sets", f"password of {user}")

    def restore(self) -> None:
        """Add each removed user again, and give each user the password that the phones know."""
        if self.world.management is None:
            return
        self.restored_at = self.world.loop.now
        self._note_change()
        for aor in list(self.locked_out):
            self._change_password(_user(aor), f"{_user(aor)}-secret")
        self.world.accounts.changed.clear()
        for aor in self.moved:
            self._move(_user(aor), USERS[_user(aor)])
        self.moved.clear()
        users = self._users()
        for aor in list(self.removed):
            user = _user(aor)
            users.add(f"{user}@{EXAMPLE}", f"{user}-secret", ALGORITHMS[USERS[user]], pool=USERS[user])
            self.world.tell("operator", "adds", user)
        users.close()
        self.removed.clear()
        self.locked_out.clear()

    # Certificates

    def revoke(self, server: str = BOT) -> None:
        """Revoke the certificate of a server, as `sipmesh ca revoke` does on the machine of management."""
        leader, file = self.world.leader, self.world.folders.example / "servers" / f"{server}.pem"
        [leaf, *_] = x509.load_pem_x509_certificates(file.read_bytes())
        if leader is None or leaf.serial_number in self.revoked:
            return
        self.world.inside(leader[0], self._revoke, leader[0], leaf.serial_number)

    def revoke_one_more(self) -> None:
        """Revoke the certificate of the application, or later another one of it, which the ledger has lost."""
        before, leader = len(self.revoked), self.world.leader
        if not before:
            self.revoke()
        elif leader is not None:
            self.world.inside(leader[0], self._revoke, leader[0], LOST + before, BOT)

    def act_on(self, server: Server, draw: float) -> None:
        """Revoke a certificate or publish on a management server that led until now, under any leader."""
        if not server.serves:
            return
        if draw < 0.5:
            self.world.inside(server, self._revoke, server, LOST + len(self.revoked), BOT)
        else:
            self.publish_on(server)

    def _revoke(self, leader: Server, serial: int, lost: str = "") -> None:
        at = datetime.fromtimestamp(BEGAN.timestamp() + self.world.loop.now, BEGAN.tzinfo)
        folder = self.world.folders.of(leader.name)
        try:
            EnterpriseCa.open(folder / "ca").revoke(serial, Reason.KEY_COMPROMISE, at, lost)
        except OperatorError as wrong:
            self.world.tell("operator", "refused", f"revocation on {leader.name}: {wrong.message}")
            return
        self.revoked[serial] = self.world.loop.now
        checks = self.world.checks
        self.world.outside(self.world.loop.call_later, REVOKED_S, checks.revoked, leader.name, serial)
        self.world.tell("operator", "revokes", f"{serial:x} on {leader.name}")
        if leader.service is not None:  # as the command does
            leader.service._look([folder / "ca" / "issuing.crl"])


def _user(aor: str) -> str:
    return aor.removeprefix("sip:").partition("@")[0]
