"""The users on each server: one number has one content everywhere, and a password that was replaced there never counts again."""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING, Final

from simulation.organisations import FRONT_ENDS, USERS, WORKERS
from sipmesh.storage.users.replicated_users import ReplicatedUsers

if TYPE_CHECKING:
    from simulation.phone import Phone, Transaction
    from simulation.server import Server
    from simulation.world import World
    from sipmesh.server.running.running_server import RunningServer

AT_ONCE_S: Final = 0.1
KNOWN_S: Final = 5.0
"""Within this time each process of a server knows the users of the others."""


class Accounts:
    """The users that each server has had in force, over all its runs.

    *changed* has the number under which the database has removed a user, or has changed the password, to a password that no phone
    knows.
    """

    def __init__(self, world: World) -> None:
        self.world = world
        self.changed: dict[str, int] = {}
        self._content_of: dict[tuple[str, int], bytes] = {}
        self._seen: dict[str, tuple[object, int]] = {}
        self._had: dict[str, list[tuple[float, int]]] = {}

    def received(self, server: Server) -> None:
        """A server has accepted a document."""
        if server.name in FRONT_ENDS and server.node is not None:
            self._look(server, server.node)

    def each_second(self) -> None:
        """Look at what each server has in force now."""
        for server, node in self.world.nodes():
            if server.name in FRONT_ENDS:
                self._look(server, node)

    def _look(self, server: Server, node: RunningServer) -> None:
        users, key = node.users, f"{server.name} {server.process.number}"
        if not isinstance(users, ReplicatedUsers) or self._seen.get(key) == (node, users.number):
            return
        self._seen[key] = node, users.number
        had = self._had.setdefault(server.name, [])
        if not had or had[-1][1] < users.number:
            had.append((self.world.loop.now, users.number))
        content = sha256(repr([(aor, users.verifier(aor)) for aor in _aors(node)]).encode()).digest()
        withheld = any(users.is_withheld(aor) for aor in _aors(node))
        if not withheld and self._content_of.setdefault((node.view.pool.name, users.number), content) != content:
            self.world.violated(
                "users of one number are the same everywhere", f"number {users.number} on {server.name}"
            )

    def began_again(self, server: str) -> None:
        """An operator has put an older state in the place of what a server had."""
        self._had.pop(server, None)

    def database_is_older(self) -> None:
        """The database has lost numbers, which stand for something else now."""
        self.changed.clear()
        self._content_of.clear()
        self._seen.clear()
        self._had.clear()

    def logged_in(self, phone: Phone, transaction: Transaction) -> None:
        """A server has accepted a password: not a password that it knew to be replaced, at any later time."""
        number = self.changed.get(phone.aor)
        if number is None or phone.chain:
            return
        known = [at for at, has in self._had.get(phone.server, ()) if has >= number]
        margin_s = KNOWN_S if phone.server in WORKERS else AT_ONCE_S
        if known and known[0] < min(transaction.sent_at, phone.up_at) - margin_s:
            what = f"{phone.name} on {phone.server}, which had another password at {known[0]:.0f} s"
            self.world.violated("a replaced password never counts again", what)

    def at_rest(self) -> None:
        """Each front end has the newest users, and each user with the right password is logged in."""
        numbers = {
            (node.users.number, server.name)
            for server, node in self.world.nodes()
            if server.name in FRONT_ENDS and isinstance(node.users, ReplicatedUsers)
        }
        newest = max(numbers)[0]
        for number, name in sorted(numbers):
            if number != newest:
                self.world.violated("each server has the newest users", f"{name} has {number}, not {newest}")
        for phone in self.world.phones:
            has_tried = phone.wanted and phone.asked_at > self.world.operations.restored_at
            if not phone.chain and has_tried and not phone.is_registered:
                self.world.violated("who has the right password can log in", f"{phone.name} is not registered")


def _aors(node: RunningServer) -> list[str]:
    return [f"sip:{user}@example.test" for user, pool in USERS.items() if pool == node.view.pool.name]
