"""The commands that only a management server answers on its control socket, with the type of each reply.

A reply is a JSON object whose keys are the names of the fields; `sipmesh.typed_json` writes and reads it. Instants have a
time zone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Self

from pydantic import AwareDatetime

from sipmesh.database.masked import masked
from sipmesh.server.control_socket import ControlCommand
from sipmesh.server.directory.explain_report import ExplainReport
from sipmesh.server.management.server_faults import Fault
from sipmesh.server.replication.server_status import Count, DnsSeen, FetchedCrl, PeerKind, ServerFacts
from sipmesh.server.tracing.traced_message import TraceReply
from sipmesh.storage.call_records.call_record import CallRecord
from sipmesh.topology.versions.approval import ApprovalNeed
from sipmesh.topology.versions.grants.grant import Grant
from sipmesh.trust.formatting import tell_list
from sipmesh.trust.role import Role

if TYPE_CHECKING:
    from sipmesh.storage.history import Version
    from sipmesh.topology.versions.publication import Publication


@dataclass(frozen=True, slots=True)
class Plan:
    """What the publication of the draft in the file *draft* would change: *base* is the version in force.

    *digest* is that of the draft. *dangers* says what the new version would break. *approvals* says which operators must approve
    it, and who has. *grants* says who gets what by it, and which role has to publish it. *operators* tells whether operators of
    the console may have changed the draft.
    """

    draft: str
    base: int
    digest: str
    changes: Sequence[str]
    dangers: Sequence[str]
    approvals: Sequence[ApprovalNeed] = field(default_factory=list)
    grants: Sequence[Grant] = field(default_factory=list)
    operators: bool = False


@dataclass(frozen=True, slots=True)
class PutInForce:
    """A published *version*, which is in force on the management server; *closed* are the ids of the links that it closed.

    *forced* says what the version breaks, if the operator has forced its publication, and *granted* what it gives to whom.
    """

    version: int
    changes: Sequence[str] = ()
    forced: Sequence[str] = ()
    closed: Sequence[str] = ()
    granted: Sequence[Grant] = ()


@dataclass(frozen=True, slots=True)
class Acknowledgement:
    """How many *servers* have to put a *version* in force, and which of them have not yet reported it (*missing*).

    *new* are servers that the version adds and that have not reported yet. *servers* does not count them.
    """

    version: int
    missing: Sequence[str]
    new: Sequence[str]
    servers: int


@dataclass(frozen=True, slots=True)
class UsersInForce:
    """The *number* of the users, how many *servers* have to put them in force, and which of them have not yet (*missing*)."""

    number: int
    missing: Sequence[str]
    servers: int


@dataclass(frozen=True, slots=True)
class RootStep:
    """A completed step of a root rotation: the CA *generation* that issues now, with the subject of its *root*.

    *retired* are the generations that the step has retired.
    """

    generation: int
    root: str
    retired: Sequence[int] = ()


@dataclass(frozen=True, slots=True)
class VersionReply:
    """One published version; *forced* says whether the operator has forced its publication, *digest* is in hex."""

    version: int
    at: AwareDatetime
    by: str
    why: str
    forced: bool
    digest: str

    @classmethod
    def of(cls, version: Version) -> Self:
        """Reply with one version of the history."""
        return cls(version.number, version.at, version.by, version.why, version.forced, version.digest)


@dataclass(frozen=True, slots=True)
class PublicationReply:
    """The document of one version, the names of the files that it embeds, and the reason for its publication."""

    topology: str
    files: Sequence[str]
    why: str

    @classmethod
    def of(cls, publication: Publication) -> Self:
        """Reply with one publication, without the passwords that one of an earlier release may contain."""
        return cls(masked(publication.topology), sorted(publication.files), publication.why)


class ServerReply(ServerFacts):
    """The last report of one server, and its *faults*; without a report *number* is None and the facts have their defaults.

    *by* is the server that has brought the report, empty if the server itself has sent it.
    """

    server: str
    role: Role = Role.MANAGEMENT
    number: Count | None = None
    faults: tuple[Fault, ...]
    by: str = ""


class MemberReply(ServerReply):
    """A server that follows management: *linked* if it has subscribed here, *reached* if it receives changes at once.

    *why_not* says why there is no link. *heard_s* is the age of the last report and *behind_s* the time since which the server
    has an older version, in seconds. *clock_s* is how far its clock is ahead of the clock of management, None if unknown.
    """

    pool: str
    linked: bool
    why_not: str
    reached: bool
    heard_s: float | None = None
    behind_s: int | float = 0
    clock_s: float | None = None


@dataclass(frozen=True, slots=True)
class ManagerReply:
    """A server of the management pool: *version* was in force on it *heard_s* seconds ago. *fencing* is 0 unless it leads."""

    server: str
    fencing: int
    version: int
    heard_s: float


@dataclass(frozen=True, slots=True)
class PeerReply:
    """An application or a partner, and its *faults*, as the servers that open links to it report them."""

    peer: str
    kind: PeerKind
    faults: Sequence[Fault]


@dataclass(frozen=True, slots=True)
class NetworkReply:
    """Every server at the instant *at*, against the newest *version*: management itself (*master*), then all others.

    *managers* are the servers of a management pool; empty if there is one management server. *peers* are the applications and
    the partners.
    """

    version: int
    at: AwareDatetime
    master: ServerReply
    servers: tuple[MemberReply, ...]
    managers: tuple[ManagerReply, ...] = ()
    peers: tuple[PeerReply, ...] = ()


@dataclass(frozen=True, slots=True)
class ProbedReply:
    """A link that *server* has opened once, to the server or partner *target*: whether it works, and what was seen."""

    server: str
    target: str
    passed: bool
    told: str


@dataclass(frozen=True, slots=True)
class DnsReply:
    """What DNS has answered *server* for each record of the version in force; *fault* says why there are no *answers*."""

    server: str
    fault: str
    answers: Sequence[DnsSeen]


@dataclass(frozen=True, slots=True)
class CrlsReply:
    """What *server* has fetched from each URL of a CRL that it needs; *fault* says why there are no *crls*."""

    server: str
    fault: str
    crls: Sequence[FetchedCrl]


@dataclass(frozen=True, slots=True)
class TrafficPoint:
    """What all servers have counted in the interval that begins *at*: *devices* is the highest number of client links."""

    at: AwareDatetime
    messages: int
    devices: int
    refused: int


@dataclass(frozen=True, slots=True)
class TrafficReply:
    """The traffic of the last day in intervals of *width_s* seconds, the oldest first; management counts *since* then.

    *causes* are the refusals of the day by the code of their cause, the most frequent first.
    """

    width_s: int
    since: AwareDatetime
    points: Sequence[TrafficPoint]
    causes: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class CallsReply:
    """The newest records that were asked for, newest first; *has_more*: there are older records.

    *missing* are the servers of which records may be missing: they send no reports, or cannot write their records.
    """

    records: Sequence[CallRecord] = field(default_factory=list)
    has_more: bool = False
    missing: Sequence[str] = ()  # management of an older release does not say it

    @property
    def told_missing(self) -> str:
        """Say of which servers records may be missing; "" if of none."""
        if not self.missing:
            return ""
        who = tell_list(self.missing)
        return f"the newest records of {who} may be missing: no report comes from there, or records cannot be written there"


@dataclass(frozen=True, slots=True)
class ErasedReply:
    """A *user* was erased from so many *records* of the database.

    *told* are the servers that erase the user from their files, *missing* those without a link: their files have the user
    until they are removed by their age.
    """

    user: str
    records: int
    told: Sequence[str] = ()
    missing: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class DirectoryConflict:
    """Why the entry of *user* (its DN, if it has no usable name) is not taken as it is, and what mends it."""

    user: str
    reason: str
    remedy: str


@dataclass(frozen=True, slots=True)
class DirectoryReply:
    """The last sync of the directory, at the instant *at*, from *server*; None if there was none since the start.

    *users* come from the directory, and *ended* of them have no access by it. *more* conflicts are not among *conflicts*. *fault*
    says why the directory is not synced: nothing is changed then.
    """

    server: str = ""
    at: AwareDatetime | None = None
    users: int = 0
    ended: int = 0
    conflicts: Sequence[DirectoryConflict] = ()
    more: int = 0
    fault: str = ""


LOOK_S: Final = 10.0
"""Seconds for a look at the user databases, before a version that names another one is published."""

PUBLISHED_S: Final = LOOK_S + 5.0
"""Seconds that a command waits for a publication."""

PLAN: Final = ControlCommand("plan", Plan)
PUBLISH: Final = ControlCommand("publish", PutInForce)
BLOCK: Final = ControlCommand("block", PutInForce)
ROLLBACK: Final = ControlCommand("rollback", PutInForce)
HISTORY: Final = ControlCommand("history", list[VersionReply])
VERSION: Final = ControlCommand("version", PublicationReply)
ACKNOWLEDGED: Final = ControlCommand("acknowledged", Acknowledgement)
USERS_IN_FORCE: Final = ControlCommand("users-in-force", UsersInForce)
NETWORK: Final = ControlCommand("network", NetworkReply)
TRAFFIC: Final = ControlCommand("traffic", TrafficReply)
PROBE_LINKS: Final = ControlCommand("probe", list[ProbedReply])
ASK_DNS: Final = ControlCommand("dns", list[DnsReply])
FETCH_CRLS: Final = ControlCommand("fetch-crls", list[CrlsReply])
ROOT: Final = ControlCommand("root", RootStep)
DIRECTORY: Final = ControlCommand("directory", DirectoryReply)
DIRECTORY_ACCEPT: Final = ControlCommand("directory-accept", DirectoryReply)
DIRECTORY_EXPLAIN: Final = ControlCommand("directory-explain", ExplainReport)
CALLS: Final = ControlCommand("calls", CallsReply)
"""Records of calls; the parameters are those of `CallQuestion`."""

END_NETWORK_CALL: Final = ControlCommand("end-network-call", CallRecord)
"""End a call at whichever server has it: ``id`` is that of its record."""

ERASE_CALLS: Final = ControlCommand("erase-calls", ErasedReply)
"""Erase ``user`` from all records."""

TRACE_NETWORK: Final = ControlCommand("trace-network", TraceReply)
"""Trace at all servers; the parameters are those of `TRACE`."""
