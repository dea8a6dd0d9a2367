"""The commands that every server answers on its control socket, with the type of each reply.

A reply is a JSON object whose keys are the names of the fields; `sipmesh.typed_json` writes and reads it. Instants are in
UTC.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Final, Self

from pydantic import Field

from sipmesh.server.control_socket import ControlCommand
from sipmesh.server.proxy.login.login_failures import LoginFailure, flaw_class
from sipmesh.server.proxy.refused_message import RefusedMessage
from sipmesh.server.refresh.reload_result import ReloadResult
from sipmesh.topology.expiry.fetch_status import FetchStatus
from sipmesh.topology.expiry.server_use import Use
from sipmesh.topology.expiry.validity import Chain, DatedItem, RenewalFault
from sipmesh.trust.code import Code
from sipmesh.trust.evidence import Direction, LinkKind
from sipmesh.trust.judgement.verdict_report import VerdictReport
from sipmesh.trust.role import Role

if TYPE_CHECKING:
    from sipmesh.server.proxy.client_refusals import ClientRefusal
    from sipmesh.server.proxy.login.login_history import LoginAttempt
    from sipmesh.trust.evidence import TlsFacts


@dataclass(frozen=True, slots=True)
class ListenerReply:
    """One port: *kind* is its key in `ports` of the topology, *accepted* counts the connections since the start."""

    kind: str
    host: str
    port: int
    accepted: int


@dataclass(frozen=True, slots=True)
class CallReply:
    """One call that is up, as far as this server has seen: the addresses of both sides, and for how many seconds."""

    caller: str
    callee: str
    age_s: float


@dataclass(frozen=True, slots=True)
class CallEndReply:
    """Whether a process had the call, and has ended it."""

    ended: bool


@dataclass(frozen=True, slots=True)
class OutageReply:
    """A server of the network that does not answer this one: for how many seconds, and why."""

    server: str
    for_s: float
    why: str


@dataclass(frozen=True, slots=True)
class WorkReply:
    """What a server has to do: its *state*, ``serving``, ``preparing`` to drain or ``draining``, and what is under way on it.

    *requests_waiting* are branches without a final response. *calls* are the newest of the *calls_up*.
    """

    state: str = "serving"
    requests_waiting: int = 0
    calls_up: int = 0
    calls: tuple[CallReply, ...] = ()
    servers_down: tuple[OutageReply, ...] = ()


@dataclass(frozen=True, slots=True)
class ChainReply:
    """A certificate that the server presents, with the CAs above it; *outside* says whether only partners see it.

    *partner* is the one partner that sees it, empty for all.
    """

    outside: bool
    file: str
    chain: tuple[DatedItem, ...]
    fault: str
    partner: str = ""
    renewal: RenewalFault | None = None  # a server of an older release does not say it


class WorkerState(StrEnum):
    """What a worker does. `SILENT`: it does not answer its supervisor. `ENDED`: its process has ended and is not replaced yet."""

    SERVING = "serving"
    SILENT = "silent"
    STARTING = "starting"
    ENDED = "ended"


@dataclass(frozen=True, slots=True)
class WorkerReply:
    """One worker: *starts* counts how often it was started, *up_s* are the seconds since the last start.

    *why* says how its process before has ended, or why it cannot be started; empty if neither was so.
    """

    number: int
    pid: int
    up_s: float
    links: int
    starts: int
    state: WorkerState = WorkerState.SERVING  # a server of an older release does not say it
    why: str = ""


@dataclass(frozen=True, slots=True)
class FilesReply:
    """The files that users have sent, at management: how many are *kept*, with how many *octets*, as of a minute ago at most."""

    kept: int
    octets: int


@dataclass(frozen=True, slots=True)
class StatusReply:
    """One server, and every certificate and CRL that it uses; *up_s* is the time since its start, in seconds.

    *links* is how many links are live, *topology* the digest of the document in force, *sources* what the server fetches.
    *release* is that of sipmesh.
    """

    server: str
    role: Role
    pid: int
    up_s: float
    listeners: tuple[ListenerReply, ...]
    links: int
    topology: str
    certificates: tuple[ChainReply, ...]
    anchors: tuple[DatedItem, ...]
    lists: tuple[DatedItem, ...]
    sources: tuple[FetchStatus, ...]
    work: WorkReply = WorkReply()  # a server of an older release does not say it
    client_certificates: tuple[ChainReply, ...] = ()  # the same
    workers: tuple[WorkerReply, ...] = ()  # empty for a server of one process
    partner_certificates: tuple[ChainReply, ...] = ()  # a server of an older release does not say it
    release: str = ""  # the same
    files: FilesReply | None = None  # the same; also of a server that has none

    @property
    def use(self) -> Use:
        """Everything that expires and that the server uses now."""
        shown = {reply.outside: Chain(reply.file, reply.chain, reply.fault) for reply in self.certificates}
        for_clients = tuple(
            Chain(reply.file, reply.chain, reply.fault, reply.renewal) for reply in self.client_certificates
        )
        for_partners = {one.partner: Chain(one.file, one.chain, one.fault) for one in self.partner_certificates}
        return Use(self.server, self.pid, shown, self.anchors, self.lists, self.sources, for_clients, for_partners)


def chain_replies(use: Use) -> tuple[ChainReply, ...]:
    """Reply with the certificates that a server presents."""
    return tuple(
        ChainReply(outside, chain.file, chain.certificates, chain.fault) for outside, chain in use.shown.items()
    )


def client_chain_replies(use: Use) -> tuple[ChainReply, ...]:
    """Reply with the further certificates that clients get."""
    return tuple(
        ChainReply(outside=False, file=one.file, chain=one.certificates, fault=one.fault, renewal=one.renewal)
        for one in use.for_clients
    )


def partner_chain_replies(use: Use) -> tuple[ChainReply, ...]:
    """Reply with the certificates that single partners get."""
    return tuple(
        ChainReply(True, chain.file, chain.certificates, chain.fault, partner)  # noqa: FBT003
        for partner, chain in use.for_partners.items()
    )


@dataclass(frozen=True, slots=True)
class TlsReply:
    """What was agreed in a handshake; empty before its end."""

    version: str
    cipher: str
    group: str

    @classmethod
    def of(cls, facts: TlsFacts) -> Self:
        """Reply with the facts of one handshake."""
        return cls(facts.version, facts.cipher, facts.group)


@dataclass(frozen=True, slots=True)
class LinkReply:
    """One live link, with its verdict in short; *age_s* is in seconds. *port* is the kind of the port, such as "websocket"."""

    server: str
    id: str
    kind: LinkKind
    direction: Direction
    state: str
    confirmed: bool
    peer: str
    remote: str
    code: Code | None
    tls: TlsReply
    age_s: float
    messages_in: int
    messages_out: int
    bytes_in: int
    bytes_out: int
    port: str = ""  # a server of an older release does not say it


@dataclass(frozen=True, slots=True)
class BindingReply:
    """One binding; *link* is the id of its link and *remote* its address, if the link is up and is one of this server.

    *expires* is None for a binding of another server: only that server knows when it ends. *digest* is the algorithm of the
    login on the link.
    """

    user: str
    server: str
    link: str | None
    remote: str | None
    contact: str
    user_agent: str
    expires: datetime | None
    tls: TlsReply | None = None
    digest: str = ""


@dataclass(frozen=True, slots=True)
class RegistrationsReply:
    """A page of bindings: *next* is the key of the following page, None after the last page.

    *registers* says whether this server is a registrar at all.
    """

    bindings: Sequence[BindingReply]
    next: Sequence[str] | None
    registers: bool


@dataclass(frozen=True, slots=True)
class LoginFailureReply:
    """The failed logins of one user from one network by one *flaw*; *closed* says whether the last one closed its link."""

    user: str
    flaw: str
    class_: Annotated[str, Field(validation_alias="class")]
    remote: str
    user_agent: str
    first_at: datetime
    last_at: datetime
    count: int
    closed: bool

    @classmethod
    def of(cls, failure: LoginFailure) -> Self:
        """Reply with one entry of the memory of failed logins."""
        return cls(
            user=failure.user.removeprefix("sip:"),
            flaw=failure.flaw,
            class_=flaw_class(failure.flaw),
            remote=failure.remote,
            user_agent=failure.user_agent,
            first_at=datetime.fromtimestamp(failure.first_at, UTC),
            last_at=datetime.fromtimestamp(failure.last_at, UTC),
            count=failure.count,
            closed=failure.closed,
        )


@dataclass(frozen=True, slots=True)
class LoginReply:
    """A login that succeeded: on which *link*, and with which of the algorithms *offered*, strongest first (*digest*).

    *device* is the device whose own password or certificate was used, "" for the user's own password.
    """

    link: str
    remote: str
    user_agent: str
    digest: str
    offered: Sequence[str]
    at: datetime
    device: str = ""  # a server of an older release does not say it

    @classmethod
    def of(cls, login: LoginAttempt) -> Self:
        """Reply with one entry of the history of logins."""
        offered, at = tuple(map(str, login.offered)), datetime.fromtimestamp(login.at, UTC)
        return cls(login.link, login.remote, login.user_agent, login.proof, offered, at, login.device)


@dataclass(frozen=True, slots=True)
class ClientRefusalReply:
    """The failures of client links from one network for one *reason*; *detail* is what the server saw last."""

    reason: str
    detail: str
    remote: str
    first_at: datetime
    last_at: datetime
    count: int

    @classmethod
    def of(cls, refusal: ClientRefusal) -> Self:
        """Reply with one entry of the memory of failed client links."""
        first, last = (datetime.fromtimestamp(at, UTC) for at in (refusal.first_at, refusal.last_at))
        return cls(str(refusal.reason), refusal.detail, refusal.remote, first, last, refusal.count)


@dataclass(frozen=True, slots=True)
class UserReply:
    """What a server knows of one user: *home* is the home pool, None for an unknown user.

    *ready* says whether the server has received the users from management. *user* is the address of record: the question may
    have named an alias. The *refusals* are of client links from any address, newest first. *messages_waiting* are
    stored, as of two seconds ago at most.
    """

    server: str
    pool: str
    role: Role
    started_at: datetime
    ready: bool
    home: str | None
    bindings: Sequence[BindingReply]
    failures: Sequence[LoginFailureReply]
    user: str = ""
    aliases: Sequence[str] = ()
    logins: Sequence[LoginReply] = ()
    refusals: Sequence[ClientRefusalReply] = ()
    messages_waiting: int = 0  # a server of an older release does not say it


@dataclass(frozen=True, slots=True)
class ExplainReply:
    """One verdict, in words and as values."""

    lines: Sequence[str]
    verdict: VerdictReport


@dataclass(frozen=True, slots=True)
class ClosedReply:
    """How many links a change has closed."""

    closed: int


STATUS: Final = ControlCommand("status", StatusReply)
LINKS: Final = ControlCommand("links", list[LinkReply])
REFUSED: Final = ControlCommand("refused", list[VerdictReport])
REFUSED_MESSAGES: Final = ControlCommand("refused-messages", list[RefusedMessage])
EXPLAIN: Final = ControlCommand("explain", ExplainReply)
REGISTRATIONS: Final = ControlCommand("registrations", RegistrationsReply)
CLIENT_REFUSALS: Final = ControlCommand("client-refusals", list[ClientRefusalReply])
LOGIN_FAILURES: Final = ControlCommand("login-failures", list[LoginFailureReply])
USER: Final = ControlCommand("user", UserReply)
RELOAD: Final = ControlCommand("reload", ReloadResult)
FILES_CHANGED: Final = ControlCommand("files-changed", ReloadResult)
USERS_CHANGED: Final = ControlCommand("users-changed", ClosedReply)
DRAIN: Final = ControlCommand("drain", WorkReply)
PREPARE_DRAIN: Final = ControlCommand("prepare-drain", WorkReply)
END_CALL: Final = ControlCommand("end-call", CallEndReply)
"""End a call: ``id`` is that of its record, ``by`` the operator."""
