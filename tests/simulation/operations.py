"""What operators do during a run: publish versions, remove and add users, revoke certificates."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from cryptography import x509

from simulation.organisations import BEGAN, USERS
from sipmesh.demo.organisation import _lines
from sipmesh.errors import OperatorError, SipmeshError
from sipmesh.pki.authority import EnterpriseCa
from sipmesh.pki.crl.builder import Reason
from sipmesh.server.control_socket import ROLE, WHO
from sipmesh.server.management.publishing.publish import OF_HOST
from sipmesh.sip.digest import Algorithm
from sipmesh.storage.users.user_database import Users
from support.managed import MGMT
from support.network import BOT, EXAMPLE

if TYPE_CHECKING:
    from pathlib import Path

    from simulation.world import Server, World

ALGORITHMS: Final = (Algorithm.SHA_256, Algorithm.MD5)

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
        self._drafts = 0

    # Versions

    def publish(self) -> None:
        """Publish a draft that blocks one more domain."""
        server = self.world.servers[MGMT]
        if self.world.management is None:
            return
        self._drafts += 1
        blocked = self.world.document["federation"]["blocked"]
        blocked.append(f"evil{self._drafts}.test")
        (self.world.folders.example / "topology.yaml").write_text("".join(_lines(self.world.document)))
        self.world.tell("operator", "publishes", f"draft {self._drafts}")
        self.world.inside(server, self._begin, server)

    def _begin(self, server: Server) -> None:
        self.world.watch(self.world.loop.create_task(self._publish(server)))

    async def _publish(self, server: Server) -> None:
        assert server.service is not None
        commands: Any = server.service._control
        try:
            plan = await commands.commands["plan"]({WHO: "ada (1)"})
            asked = {WHO: "ada (1)", ROLE: OF_HOST, "why": "because", "base": plan.base, "digest": plan.digest}
            put = await commands.commands["publish"](asked)
        except OperatorError as wrong:
            self.world.tell("operator", "refused", wrong.message)
            return
        self.acknowledged[put.version] = self.world.loop.now
        self.world.tell("operator", "published", f"version {put.version}")

    # Users

    def _users(self) -> Users:
        return Users(self._url())

    def _url(self) -> str | Path:
        node = self.world.servers[MGMT].node
        assert node is not None
        return node.view.loaded.users_url

    def remove(self, user: str) -> None:
        """Remove a user; the phones of the user try to log in all the same."""
        if self.world.management is None:
            return
        aor = f"sip:{user}@{EXAMPLE}"
        users = self._users()
        try:
            users.remove(aor)
        except SipmeshError:
            return
        finally:
            users.close()
        self.removed[aor] = self.world.loop.now
        self.world.tell("operator", "removes", user)

    def change_password(self, user: str) -> None:
        """Give a user another password, which no phone knows."""
        self._change_password(user, "another-secret")

    def _change_password(self, user: str, password: str) -> None:
        aor = f"sip:{user}@{EXAMPLE}"
        if self.world.management is None or aor in self.removed:
            return
        users = self._users()
        users.set_password(aor, password, ALGORITHMS)
        users.close()
        self.locked_out[aor] = self.world.loop.now
        self.world.tell("operator", "sets", f"password of {user}")

    def restore(self) -> None:
        """Add each removed user again, and give each user the password that the phones know."""
        if self.world.management is None:
            return
        for aor in list(self.locked_out):
            self._change_password(_user(aor), f"{_user(aor)}-secret")
        users = self._users()
        for aor in list(self.removed):
            user = _user(aor)
            users.add(f"{user}@{EXAMPLE}", f"{user}-secret", ALGORITHMS, pool=USERS[user])
            self.world.tell("operator", "adds", user)
        users.close()
        self.removed.clear()
        self.locked_out.clear()

    # Certificates

    def revoke(self, server: str = BOT) -> None:
        """Revoke the certificate of a server, as `sipmesh ca revoke` does on the machine of management."""
        folder = self.world.folders.example
        [leaf, *_] = x509.load_pem_x509_certificates((folder / "servers" / f"{server}.pem").read_bytes())
        if leaf.serial_number in self.revoked:
            return
        at = datetime.fromtimestamp(BEGAN.timestamp() + self.world.loop.now, BEGAN.tzinfo)
        EnterpriseCa.open(folder / "ca").revoke(leaf.serial_number, Reason.KEY_COMPROMISE, at)
        self.revoked[leaf.serial_number] = self.world.loop.now
        self.world.tell("operator", "revokes", server)


def _user(aor: str) -> str:
    return aor.removeprefix("sip:").partition("@")[0]
