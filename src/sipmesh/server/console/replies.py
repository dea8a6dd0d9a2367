"""What the console and the API show beyond the replies of the control socket."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Self

from sipmesh.server.admin.replies import BindingReply, LinkReply, LoginReply, UserReply
from sipmesh.server.management.device_certificates import DeviceCertificate
from sipmesh.server.management.replies import PutInForce
from sipmesh.storage.users.account_report import AccountReport
from sipmesh.storage.users.device import Device
from sipmesh.storage.users.directory_entry import DirectoryLink
from sipmesh.storage.users.invitation import Invitation
from sipmesh.topology.document.watching import Watching
from sipmesh.trust.judgement.verdict_report import VerdictReport

if TYPE_CHECKING:
    from sipmesh.pki.ledger.records import Record
    from sipmesh.storage.audit import AuditLine


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
    """A page of lines, newest first; *faults* says which of these lines were changed.

    *before* is the parameter for the next page, None if there are no older lines.
    """

    lines: Sequence[AuditEntry]
    faults: Sequence[str]
    before: int | None


@dataclass(frozen=True, slots=True)
class AuditCheckReply:
    """The whole audit log and all versions, as read at the instant *at*: *faults* is empty if they are intact."""

    at: datetime
    faults: Sequence[str]


@dataclass(frozen=True, slots=True)
class Found:
    """One result of a search: *what* says more about it, and *page* is its page in the console."""

    kind: str
    name: str
    what: str
    page: str


@dataclass(frozen=True, slots=True)
class SearchReply:
    """The results of a search, exact names first. *left_out* is what the role may not read, *faults* what cannot be asked."""

    results: Sequence[Found]
    left_out: Sequence[str]
    faults: Sequence[str]


@dataclass(frozen=True, slots=True)
class IssuedCertificate:
    """A certificate that our CA has issued, for *names*. *fingerprint* is the SHA-256 of its octets, empty without a signature.

    *reason* says why it was revoked. *state* is valid, expired, revoked or never signed.
    """

    names: Sequence[str]
    kind: str
    issuer: str
    serial: str
    fingerprint: str
    begins: datetime
    ends: datetime
    state: str
    revoked_at: datetime | None
    reason: str

    @classmethod
    def of(cls, record: Record, at: datetime) -> Self:
        """Tell of a row of the ledger at the instant *at*."""
        if record.der is None:
            state = "never signed"
        elif record.revoked_at is not None:
            state = "revoked"
        else:
            state = "valid" if record.not_after > at else "expired"
        mark = sha256(record.der).hexdigest() if record.der is not None else ""
        dates = (record.not_before, record.not_after, state, record.revoked_at)
        return cls(record.names, record.kind, record.issuer, record.serial_hex, mark, *dates, record.reason or "")


@dataclass(frozen=True, slots=True)
class LedgerReply:
    """Certificates that were found, the newest first. *is_here*: the CA is on this machine; its ledger was read."""

    certificates: Sequence[IssuedCertificate]
    is_here: bool = True


@dataclass(frozen=True, slots=True)
class UserListReply:
    """A page of users; *total* is how many there are in all, and *found* how many of them were asked for.

    *after* is the parameter for the next page in the order of addresses, None if there are no further users.
    """

    users: Sequence[AccountReport]
    total: int
    after: str | None
    found: int


@dataclass(frozen=True, slots=True)
class UserChangeReply:
    """A changed user: *what* has changed, in a word, and how many live links this has *closed* on this machine.

    *missing* are the front ends on which the change is not in force yet, of *servers*: there the state from before counts.
    """

    user: str
    what: str
    closed: int
    missing: Sequence[str] = ()
    servers: int = 0


@dataclass(frozen=True, slots=True)
class UserDevicesReply:
    """The *devices* of one user that have a password of their own, and the *invitations* that are open.

    *seen* has the last login of each device at a server of this machine since its start, by the name of the device.
    """

    devices: Sequence[Device]
    invitations: Sequence[Invitation]
    seen: Mapping[str, LoginReply] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class DevicePasswordReply:
    """The *password* of a new *device*, which is shown once, and its digest user name *login*.

    *missing* are the front ends, of *servers*, that do not know the password yet.
    """

    user: str
    device: str
    login: str
    password: str = field(repr=False)
    missing: Sequence[str] = ()
    servers: int = 0


@dataclass(frozen=True, slots=True)
class UserDetailReply:
    """One user: the account, and what each server on this machine knows of the user; *faults* are servers without an answer.

    *rules* says who may see the presence of the user, by the watcher. *certificates* are those of the user's devices. *calls* has
    the rules of the user's calls. *directory* is None for a local user, who comes from no directory.
    """

    account: AccountReport
    servers: Sequence[UserReply]
    faults: Sequence[str]
    rules: Mapping[str, Watching]
    certificates: Sequence[DeviceCertificate]
    calls: Mapping[str, object]
    directory: DirectoryLink | None


@dataclass(frozen=True, slots=True)
class DevicesReply:
    """The registered devices on the servers of this machine, at most the first 500 of each.

    *servers* are those that have answered, *more* those that have more devices, *faults* those without an answer.
    """

    bindings: Sequence[BindingReply]
    servers: Sequence[str]
    more: Sequence[str]
    faults: Sequence[str]


@dataclass(frozen=True, slots=True)
class VerdictEntry:
    """One verdict of *server* at the instant *at*; *link* is the id of the live link, "" if the peer was refused."""

    at: datetime
    server: str
    code: str
    peer: str
    kind: str
    direction: str
    remote: str
    link: str
    remedies: Sequence[str]

    @classmethod
    def refused(cls, server: str, verdict: VerdictReport) -> Self:
        """Show a refusal."""
        where = (str(verdict.kind), str(verdict.direction), verdict.remote)
        return cls(verdict.at, server, str(verdict.code), verdict.subject, *where, "", verdict.remedies)

    @classmethod
    def accepted(cls, link: LinkReply, now: datetime) -> Self:
        """Show a live link, whose verdict was made when the link was opened."""
        where = (str(link.kind), str(link.direction), link.remote)
        at = now - timedelta(seconds=link.age_s)
        return cls(at, link.server, str(link.code), link.peer, *where, link.id, ())


@dataclass(frozen=True, slots=True)
class VerdictsReply:
    """The last verdicts, newest first, of the servers on this machine; *faults* are servers without an answer."""

    verdicts: Sequence[VerdictEntry]
    faults: Sequence[str]


@dataclass(frozen=True, slots=True)
class SignedListsReply:
    """The files with the new CRLs, and how many links they have *closed* here."""

    files: Sequence[str]
    closed: int


@dataclass(frozen=True, slots=True)
class DraftReply:
    """A change of the draft: *diff* are its lines; *written* is false for a dry run, and if nothing has changed.

    *changes* are all differences to version *base*, which stays in force until the draft is published. *planned* is the digest
    of this change, of the draft before it, and of version *base*.
    """

    written: bool
    diff: Sequence[str]
    base: int
    changes: Sequence[str]
    planned: str = ""


@dataclass(frozen=True, slots=True)
class BlockReply(PutInForce):
    """A block that is in force; *draft_fault* says why the draft does not have it, empty if it has."""

    draft_fault: str = ""


@dataclass(frozen=True, slots=True)
class PartnerChangeReply:
    """A change of a partner: *what* has changed, in words, and the lines of the draft that changed (*diff*).

    *version* has been published with this change alone; 0 for a dry run, and if the draft had *other* changes before.
    *changes* says what follows from this change alone. *planned* is as in `DraftReply`.
    """

    what: str
    diff: Sequence[str]
    version: int
    other: Sequence[str]
    changes: Sequence[str] = ()
    planned: str = ""


@dataclass(frozen=True, slots=True)
class LettersReply:
    """How many invitations were made (*count*), and a table in CSV with the *links*, which are shown once."""

    count: int
    links: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class RevokedReply:
    """A revoked certificate: *server* is its first name, *serial* is hexadecimal, and *closed* how many links it closed here."""

    server: str
    serial: str
    reason: str
    closed: int


@dataclass(frozen=True, slots=True)
class IssuedReply:
    """A new certificate: *serial* is hexadecimal. *used_by* are the servers of this machine that have read their files again.

    *faults* are the servers that have not, each with the reason.
    """

    server: str
    serial: str
    ends: datetime
    used_by: Sequence[str]
    faults: Sequence[str]


@dataclass(frozen=True, slots=True)
class LoggedOutReply:
    """How many sessions have *ended*."""

    ended: int


@dataclass(frozen=True, slots=True)
class LoginCodeReply:
    """A *code* that logs in once at *url*, within *lifetime_s* seconds; *role* is what it allows."""

    url: str
    code: str
    role: str
    lifetime_s: float
