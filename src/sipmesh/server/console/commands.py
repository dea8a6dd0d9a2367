"""The operations that no command of the control socket has: they read what the commands of the operator read from files."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from sipmesh.errors import OperatorError
from sipmesh.pki.ca_rotation import CaGenerations
from sipmesh.pki.crl.builder import Reason
from sipmesh.server.certificates.network_inventory import network_inventory
from sipmesh.server.console.operations import AUDIT, CERTIFICATES, PARTNERS, REVOKE, USERS
from sipmesh.server.console.replies import (
    AuditEntry,
    AuditReply,
    CertificatesReply,
    PartnerReply,
    RevokedReply,
    UserEntry,
    UserListReply,
)
from sipmesh.server.control_socket import WHO
from sipmesh.server.management.publishing.decommission import CA
from sipmesh.server.management.revoking import revoke
from sipmesh.server.process.off_loop import off_loop
from sipmesh.storage.audit_act import AuditAct
from sipmesh.storage.users.user_database import Users as UserDatabase
from sipmesh.topology.home_pools import home_by_default

if TYPE_CHECKING:
    from pathlib import Path

    from sipmesh.server.control_socket import Command
    from sipmesh.server.refresh.reload_result import ReloadResult
    from sipmesh.server.running.running_server import RunningServer
    from sipmesh.storage.management_db import ManagementDb
    from sipmesh.topology.document.load import Loaded
    from sipmesh.topology.expiry.inventory import Use

MOST_LINES: Final = 500
"""Lines of the audit log in one reply."""

MOST_USERS: Final = 1000
"""Users in one reply."""


class ConsoleCommands:
    """The further operations of the console of *node*; *look* makes this server read changed CRLs at once."""

    def __init__(self, node: RunningServer, management_db: ManagementDb, look: Callable[[], ReloadResult]) -> None:
        self._node, self._management_db, self._look = node, management_db, look

    def __repr__(self) -> str:
        return f"<ConsoleCommands of {self._node.view.name}>"

    def commands(self) -> Mapping[str, Command]:
        """Return every operation by its name."""
        return {
            AUDIT: self._audit,
            CERTIFICATES: self._certificates,
            USERS: self._users,
            PARTNERS: self._partners,
            REVOKE: self._revoke,
        }

    async def _audit(self, asked: Mapping[str, Any]) -> AuditReply:
        return await off_loop(_read_audit, self._management_db, int(asked["since"]))

    async def _certificates(self, _asked: Mapping[str, Any]) -> CertificatesReply:
        node, at = self._node, datetime.now(UTC)
        return await off_loop(_read_certificates, node.view.loaded, node.use(), at)

    async def _users(self, _asked: Mapping[str, Any]) -> UserListReply:
        return await off_loop(_read_users, self._node.view.loaded)

    async def _partners(self, _asked: Mapping[str, Any]) -> list[PartnerReply]:
        federation = self._node.view.loaded.topology.federation
        known = [PartnerReply.of(partner) for partner in federation.partners]
        return known + [PartnerReply.blocked(name) for name in federation.blocked]

    async def _revoke(self, asked: Mapping[str, Any]) -> RevokedReply:
        """Revoke one certificate, write the audit log, and close the links here; all servers receive the new CRL."""
        folder = self._node.view.loaded.folder / CA
        serial, reason = int(str(asked["serial"]), 16), Reason(asked["reason"])
        reply = await off_loop(_revoke, folder, self._management_db, str(asked[WHO]), serial, reason)
        closed = len(self._look().closed)
        return RevokedReply(reply.server, reply.serial, reply.reason, closed)


def _read_audit(management_db: ManagementDb, since: int) -> AuditReply:
    lines = management_db.audit.read(since)[-MOST_LINES:]
    return AuditReply([AuditEntry.of(line) for line in reversed(lines)], management_db.history.verify())


def _read_certificates(loaded: Loaded, use: Use, at: datetime) -> CertificatesReply:
    return CertificatesReply.of(network_inventory(loaded, loaded.folder / CA, [use], at))


def _read_users(loaded: Loaded) -> UserListReply:
    users, default = UserDatabase(loaded.users_url), home_by_default(loaded.topology) or ""
    try:
        known = sorted(users.list(), key=lambda user: user.aor)
    finally:
        users.close()
    return UserListReply([UserEntry.of(user, default) for user in known[:MOST_USERS]], len(known))


def _revoke(folder: Path, management_db: ManagementDb, who: str, serial: int, reason: Reason) -> RevokedReply:
    """Revoke in the CA in *folder*; raises `OperatorError` if there is no CA, or no such certificate."""
    if not CaGenerations.are_in(folder):
        raise OperatorError("the CA is on another machine: revoke the certificate there, by `sipmesh ca revoke`")
    at = datetime.now(UTC)

    def note(act: AuditAct, /, **about: object) -> None:
        management_db.audit.append(who, act, about, at=at)

    record = revoke(CaGenerations(folder), serial, reason, at, note)
    return RevokedReply(record.names[0], record.serial_hex, str(record.reason), 0)
