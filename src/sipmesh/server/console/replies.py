"""What the console and the API show beyond the replies of the control socket."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Self

from sipmesh.server.admin.inventory_report import CountdownReport, EntryReport

if TYPE_CHECKING:
    from sipmesh.storage.audit import AuditLine
    from sipmesh.storage.users.user_database import User
    from sipmesh.topology.document.model import Partner
    from sipmesh.topology.expiry.inventory import Inventory


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One line of the audit log; *hash* is hexadecimal, and *about* depends on the *act*."""

    seq: int
    at: datetime
    who: str
    act: str
    about: dict[str, Any]
    hash: str

    @classmethod
    def of(cls, line: AuditLine) -> Self:
        """Show one line."""
        return cls(line.seq, line.at, line.who, line.act, dict(line.about), line.hash)


@dataclass(frozen=True, slots=True)
class AuditReply:
    """The newest lines, newest first; *faults* says where the chain of hashes is broken, empty if it is intact."""

    lines: Sequence[AuditEntry]
    faults: Sequence[str]


@dataclass(frozen=True, slots=True)
class CertificatesReply:
    """Everything that expires, the first end first; *countdown* names the first server that would stop."""

    at: datetime
    worst: str
    countdown: CountdownReport | None
    entries: Sequence[EntryReport]

    @classmethod
    def of(cls, stock: Inventory) -> Self:
        """Show an inventory."""
        countdown = CountdownReport.of(stock.countdown, stock.at) if stock.countdown else None
        entries = [EntryReport.of(entry, stock.at) for entry in stock.entries]
        entries.sort(key=lambda entry: (entry.ends is None, entry.ends or stock.at))
        return cls(stock.at, stock.worst.word, countdown, entries)


@dataclass(frozen=True, slots=True)
class UserEntry:
    """One user: *pool* is the home pool, *digest* the algorithms, strongest first; *created* is UTC."""

    user: str
    pool: str
    digest: Sequence[str]
    aliases: Sequence[str]
    created: datetime

    @classmethod
    def of(cls, user: User, default: str) -> Self:
        """Show one user; *default* is the home pool of users without one."""
        aliases = [alias.removeprefix("sip:") for alias in user.aliases]
        return cls(user.aor.removeprefix("sip:"), user.pool or default, [*user.algorithms], aliases, user.created)


@dataclass(frozen=True, slots=True)
class UserListReply:
    """The users in the order of their names; *total* is how many there are, of which the first are in *users*."""

    users: Sequence[UserEntry]
    total: int


@dataclass(frozen=True, slots=True)
class PartnerReply:
    """One partner of the version in force; *edge* is empty if DNS finds it. *is_blocked* entries have a name only."""

    name: str
    domains: Sequence[str]
    edge: str
    client_usage: str
    is_blocked: bool = False

    @classmethod
    def of(cls, partner: Partner) -> Self:
        """Show one partner."""
        return cls(partner.name, partner.domains, partner.edge or "", str(partner.client_usage))

    @classmethod
    def blocked(cls, name: str) -> Self:
        """Show a blocked name."""
        return cls(name, (name,), "", "", is_blocked=True)


@dataclass(frozen=True, slots=True)
class RevokedReply:
    """A revoked certificate: *server* is its first name, *serial* is hexadecimal, and *closed* how many links it closed here."""

    server: str
    serial: str
    reason: str
    closed: int


@dataclass(frozen=True, slots=True)
class LoginCodeReply:
    """A *code* that logs in once at *url*, within *lifetime_s* seconds; *role* is what it allows."""

    url: str
    code: str
    role: str
    lifetime_s: float
