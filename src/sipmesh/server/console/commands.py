"""The operations that no command of the control socket has: they read what the commands of the operator read from files."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from sipmesh.errors import OperatorError
from sipmesh.pki.ca_rotation import CaGenerations
from sipmesh.pki.crl.builder import Reason
from sipmesh.pki.ledger.ledger import Ledger
from sipmesh.server.admin.inventory_report import InventoryReport
from sipmesh.server.admin.local_servers import ask_running
from sipmesh.server.admin.partners_report import PartnersReport
from sipmesh.server.admin.replies import RELOAD
from sipmesh.server.certificates.network_inventory import network_inventory
from sipmesh.server.console.operations import (
    AUDIT,
    AUDIT_CHECK,
    CERTIFICATES,
    ISSUE,
    LEDGER,
    PARTNERS,
    REVOKE,
    SIGN_CRLS,
)
from sipmesh.server.console.replies import (
    AuditCheckReply,
    AuditEntry,
    AuditReply,
    IssuedCertificate,
    IssuedReply,
    LedgerReply,
    RevokedReply,
    SignedListsReply,
)
from sipmesh.server.control_socket import STATE, WHO
from sipmesh.server.management.issuing import has_its_key_elsewhere, issue_for
from sipmesh.server.management.publishing.decommission import CA
from sipmesh.server.management.revoking import owner_of, revoke, sign_crls
from sipmesh.server.process.off_loop import later, off_loop
from sipmesh.sip.text import LWS, ascii_lower
from sipmesh.storage.audit_act import AuditAct
from sipmesh.storage.enrolment.end_enrolment import end_enrolment

if TYPE_CHECKING:
    from pathlib import Path

    from cryptography import x509

    from sipmesh.server.control_socket import Command
    from sipmesh.server.refresh.reload_result import ReloadResult
    from sipmesh.server.running.running_server import RunningServer
    from sipmesh.storage.audit_act import Note
    from sipmesh.storage.management_db import ManagementDb
    from sipmesh.topology.document.load import Loaded

MOST_LINES: Final = 100
"""Lines of the audit log in one reply."""

MOST_CERTIFICATES: Final = 100
"""Certificates in one reply."""

SHORTEST_DIGEST: Final = 6
"""Digits from which on a text may be a part of a serial number or of a fingerprint."""

HEXADECIMAL: Final = "0123456789abcdef"
BETWEEN_DIGITS: Final = str.maketrans("", "", ": -")

CHECK_AGAIN_S: Final = 60.0
"""Seconds until the whole audit log is read again: with many lines this takes seconds."""


class ConsoleCommands:
    """The further operations of the console of *node*; *look* makes this server read changed CRLs at once."""

    def __init__(self, node: RunningServer, management_db: ManagementDb, look: Callable[[], ReloadResult]) -> None:
        self._node, self._management_db, self._look = node, management_db, look
        self._check: asyncio.Task[AuditCheckReply] | None = None
        self._checked_at = 0.0

    def commands(self) -> Mapping[str, Command]:
        """Return every operation by its name."""
        return {
            AUDIT: self._audit,
            AUDIT_CHECK: self._audit_check,
            CERTIFICATES: self._certificates,
            LEDGER: self._ledger,
            PARTNERS: self._partners,
            REVOKE: self._revoke,
            SIGN_CRLS: self._sign_crls,
            ISSUE: self._issue,
        }

    async def _audit(self, asked: Mapping[str, Any]) -> AuditReply:
        return await off_loop(
            _read_audit, self._management_db, int(asked["since"]), int(asked["before"]), asked["find"]
        )

    async def _audit_check(self, _asked: Mapping[str, Any]) -> AuditCheckReply:
        """Read the whole log once in a minute at most: all who ask meanwhile get the result of the same check."""
        now = self._node.loop.time()
        if self._check is None or now - self._checked_at >= CHECK_AGAIN_S:
            self._checked_at = now
            self._check = self._node.loop.create_task(later(_check_audit, self._management_db))
        return await asyncio.shield(self._check)

    async def _certificates(self, _asked: Mapping[str, Any]) -> InventoryReport:
        node, at = self._node, datetime.now(UTC)
        loaded, uses = node.view.loaded, [node.use()]
        return await off_loop(lambda: InventoryReport.of(network_inventory(loaded, loaded.folder / CA, uses, at)))

    async def _ledger(self, asked: Mapping[str, Any]) -> LedgerReply:
        return await off_loop(
            _read_ledger, self._node.view.loaded.folder / CA, ascii_lower(str(asked["find"]).strip(LWS))
        )

    async def _partners(self, _asked: Mapping[str, Any]) -> PartnersReport:
        return PartnersReport.of(self._node.view.loaded, datetime.now(UTC))

    async def _revoke(self, asked: Mapping[str, Any]) -> RevokedReply:
        """Revoke one certificate, write the audit log, and close the links here; all servers receive the new CRL."""
        folder = self._node.view.loaded.folder / CA
        serial, reason = int(str(asked["serial"]).replace(":", ""), 16), Reason(asked["reason"])
        try:
            reply = await off_loop(_revoke, folder, self._management_db, str(asked[WHO]), serial, reason)
        finally:  # the CRL may be new although the ledger has not stored the revocation
            closed = len(self._look().closed)
        return RevokedReply(reply.server, reply.serial, reply.reason, closed)

    async def _sign_crls(self, asked: Mapping[str, Any]) -> SignedListsReply:
        """Sign new CRLs, write the audit log, and use them here; all servers receive them."""
        folder = self._node.view.loaded.folder / CA
        files = await off_loop(_sign_crls, folder, self._management_db, str(asked[WHO]))
        return SignedListsReply(files, len(self._look().closed))

    async def _issue(self, asked: Mapping[str, Any]) -> IssuedReply:
        """Issue a certificate, write the audit log, and have the servers of this machine read their files again."""
        loaded, server = self._node.view.loaded, ascii_lower(str(asked["server"]))
        lifetime = timedelta(days=int(asked["days"]))
        issued = await off_loop(_issue, loaded, self._management_db, str(asked[WHO]), server, lifetime)
        answers = await ask_running(loaded.folder / STATE, RELOAD, {})
        used_by = [answer.server for answer in answers if answer.reply is not None and answer.reply.taken]
        refused = [answer for answer in answers if answer.server not in used_by]
        whys = [answer.reply.why if answer.reply is not None else answer.fault for answer in refused]
        faults = [f"{answer.server}: {why}" for answer, why in zip(refused, whys, strict=True)]
        return IssuedReply(server, f"{issued.serial_number:x}", issued.not_valid_after_utc, used_by, faults)


def _read_audit(management_db: ManagementDb, since: int, before: int, find: str) -> AuditReply:
    page = management_db.audit.page(before, MOST_LINES, find)
    lines = [AuditEntry.of(line) for line in page.lines if line.seq > since]
    is_last = page.is_last or len(lines) < len(page.lines)
    return AuditReply(lines, page.faults, None if is_last else lines[-1].seq)


def _read_ledger(folder: Path, text: str) -> LedgerReply:
    """Find certificates of every generation of the CA, also of earlier generations; if the CA is elsewhere, so is its ledger."""
    if not CaGenerations.are_in(folder):
        return LedgerReply((), is_here=False)
    at, digits, generations = datetime.now(UTC), digits_of(text), CaGenerations(folder)
    ledgers = [Ledger.of(generations.folder_of(number)) for number in reversed(generations.numbers)]
    found = [record for ledger in ledgers for record in ledger.find(text, digits, MOST_CERTIFICATES)]
    return LedgerReply([IssuedCertificate.of(record, at) for record in found[:MOST_CERTIFICATES]])


def digits_of(text: str) -> str:
    """Give the hexadecimal digits of a serial number or fingerprint, without separators; empty if *text* is too short for one."""
    digits = text.translate(BETWEEN_DIGITS).lstrip("0")
    return digits if len(digits) >= SHORTEST_DIGEST and not digits.strip(HEXADECIMAL) else ""


def _check_audit(management_db: ManagementDb) -> AuditCheckReply:
    at = datetime.now(UTC)
    return AuditCheckReply(at, management_db.history.verify())


def _revoke(folder: Path, management_db: ManagementDb, who: str, serial: int, reason: Reason) -> RevokedReply:
    """Revoke in the CA in *folder*, and end the enrolment of the name; raises `OperatorError` if there is no such certificate."""
    at, generations, note = datetime.now(UTC), generations_in(folder), noting(management_db, who)
    name, device = owner_of(generations, serial)
    try:
        if name:
            end_enrolment(management_db, name, at, note, device)
    finally:  # the certificate is revoked also if the tokens and accounts do not end
        record = revoke(generations, serial, reason, at, note)
    return RevokedReply(record.names[0], record.serial_hex, str(record.reason), 0)


def _sign_crls(folder: Path, management_db: ManagementDb, who: str) -> list[str]:
    signed = sign_crls(generations_in(folder), datetime.now(UTC), noting(management_db, who))
    return [str(file.relative_to(folder.parent)) for file, _, number in signed if number is not None]


def _issue(loaded: Loaded, management_db: ManagementDb, who: str, server: str, lifetime: timedelta) -> x509.Certificate:
    """Issue for one server; raises `OperatorError` for a server that is unknown, or has its key on another machine."""
    generations = generations_in(loaded.folder / CA)
    if has_its_key_elsewhere(loaded, generations, server):
        raise OperatorError(
            f"the key of {server} is on another machine, and a running server renews its certificate itself"
        )
    note = noting(management_db, who)
    return issue_for(loaded, generations.current, server, datetime.now(UTC), lifetime, note=note).certificate


def generations_in(folder: Path) -> CaGenerations:
    """Return the CAs in *folder*; raises `OperatorError` if they are on another machine."""
    if not CaGenerations.are_in(folder):
        raise OperatorError("the CA is on another machine: use the command there, such as `sipmesh ca revoke`")
    return CaGenerations(folder)


def noting(management_db: ManagementDb, who: str) -> Note:
    """Return what writes lines of the operator *who* into the audit log."""

    def note(act: AuditAct, /, **about: object) -> None:
        management_db.audit.append(who, act, about, at=datetime.now(UTC))

    return note
