"""The status report of one server to management (RFC 3903 PUBLISH, event ``sipmesh-status``), as a typed document with limits.

A received report is read with this model. A document that does not fit is dropped completely: the report of one server must not
damage the reports of others. Unknown keys are ignored, so that a newer release may add keys.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Final, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    Strict,
    ValidationError,
)

from sipmesh.distribution.items import HIGHEST_NUMBER
from sipmesh.errors import RemoteError
from sipmesh.foreign_errors import misfit_of
from sipmesh.printable import printable
from sipmesh.server.replication.probe_order import MOST_TARGETS

if TYPE_CHECKING:
    from sipmesh.server.replication.link_fault import LinkFault

LONGEST_TEXT: Final = 2000
"""Characters of one text; a server cuts its own texts to this length (`text`)."""

LONGEST_FAULT: Final = 200
MOST_NAMES: Final = 10_000
"""Peers or anchors of one server: as many as a large topology has."""

MOST_REFUSALS: Final = 5
MOST_NEIGHBOURS: Final = 64
"""Live links to servers and partners in one report: the map of the console draws them."""

MOST_CAUSES: Final = 64
"""Codes of refusals in one report, each with its count."""

MOST_PEER_FAULTS: Final = 64
"""Peers and CRLs with a fault in one report."""

LONGEST_RELAYED: Final = 768 << 10
"""Octets of all relayed reports of a front end; this leaves room for its own (`distribution.notifier.LONGEST_STATUS`)."""

LONGEST_AGO_S: Final = 1e9
RULE: Final = "event package sipmesh-status"

MOST_QUESTIONS: Final = 400
"""Names and types for which one server asks DNS in one order."""

MOST_CRLS: Final = 400
"""CRLs that one server fetches in one order."""

MOST_DATA: Final = 32
"""Records of one name and type in a report."""


def _instant(given: object) -> datetime:
    """Read ISO 8601 with a time zone; return the time in UTC."""
    try:
        found = datetime.fromisoformat(given) if isinstance(given, str) else given
        if isinstance(found, datetime) and found.tzinfo is not None:
            return found.astimezone(UTC)
    except (ValueError, OverflowError):
        pass
    raise ValueError("is not a time with a time zone")


def _text(given: str) -> str:
    """Make a text printable: none of its lines may look like a line of ours."""
    return printable(given, LONGEST_TEXT)


Instant = Annotated[datetime, BeforeValidator(_instant), PlainSerializer(datetime.isoformat, str)]
Text = Annotated[str, Strict(), Field(max_length=LONGEST_TEXT), AfterValidator(_text)]
Name = Annotated[str, Strict(), Field(max_length=253), AfterValidator(_text)]
Hex = Annotated[str, Strict(), Field(max_length=64, pattern="^[0-9a-f]*$")]
Count = Annotated[int, Strict(), Field(ge=0, le=HIGHEST_NUMBER)]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class ShownCertificate(_Part):
    """The certificate that a server presents to servers: *under* is the subject of the root that its chain leads to."""

    serial: Hex
    ends: Instant
    issuer: Text
    under: Text


class Neighbour(_Part):
    """A live link of a server to another server or to a partner: the proved *peer*, and what the handshake agreed on.

    *certificate_ends* is the end of the peer's certificate. *messages* counts both directions since the link is up. *used* is how
    much of its limits the peer uses at this server, in percent.
    """

    peer: Name
    kind: Name
    tls: Name = ""
    group: Name = ""
    certificate_ends: Instant | None = None
    messages: Count = 0
    used: Annotated[int, Strict(), Field(ge=0, le=100)] = 0


class TrunkUse(_Part):
    """A trunk at a gateway: the *calls* that are up, and whether it *fails*, so that calls go to other trunks first.

    *minutes* are those of our users' calls in 24 hours.
    """

    trunk: Name
    calls: Count = 0
    fails: bool = False
    minutes: Count = 0


class CallerUse(_Part):
    """A user who has used half of a bound or more, through all trunks.

    *calls* are those that are up, *minutes* and *countries* those of 24 hours. *most_calls*, *most_minutes* and
    *most_countries* are the bounds of each user; None is no bound.
    """

    user: Text
    calls: Count = 0
    minutes: Count = 0
    most_calls: Count | None = None
    most_minutes: Count | None = None
    countries: Count = 0
    most_countries: Count | None = None


class ApplicationUse(_Part):
    """An application at a front end: the *calls* that are up, those that it has been *called* for, and the *mailboxes*.

    *called* counts the calls that it has accepted since the server has started. *mailboxes* are the users of whom it says how
    many messages wait.
    """

    application: Name
    calls: Count = 0
    called: Count = 0
    mailboxes: Count = 0


class PeerKind(StrEnum):
    """The kind of something whose faults other servers see; all but a server do not report to management themselves."""

    SERVER = "server"
    APPLICATION = "application"
    PARTNER = "partner"
    CA = "CA"
    STORE = "store"


class PeerFault(_Part):
    """A peer to which the server can open no link, or the CRL of a CA that has expired; *why* is what was seen.

    *code* is that of the verdict, or a `Cause`: management knows the remedy by it. *ahead_s* are the seconds by which the clock
    of the peer is ahead of that of this server, 0.0 if unknown.
    """

    peer: Name
    kind: PeerKind
    why: Text
    code: Text = ""
    ahead_s: Annotated[float, Field(allow_inf_nan=False)] = 0.0

    @classmethod
    def of(cls, peer: str, kind: PeerKind, fault: LinkFault) -> Self:
        """Report that no link to *peer* works."""
        return cls(peer=peer, kind=kind, why=text(fault.why), code=fault.code, ahead_s=round(fault.ahead_s, 1))


class ProbedLink(_Part):
    """A link that management has had probed: whether it works, and what the server has seen."""

    target: Name
    passed: Annotated[bool, Strict()]
    told: Text = ""


class DnsSeen(_Part):
    """What DNS has answered a server for one name and type: *data* as in zone files, *dnssec* as the resolver says it.

    *fault* says why there is no answer.
    """

    name: Name
    type: Name
    data: Annotated[tuple[Text, ...], Field(max_length=MOST_DATA)] = ()
    dnssec: Name = ""
    fault: Text = ""


class FetchedCrl(_Part):
    """A CRL of *owner* (empty for our own authority) that a server has fetched once; *fault* says why it cannot be used."""

    url: Text
    owner: Name = ""
    fault: Text = ""


class Probed(_Part):
    """The result of one order to probe links, to ask DNS or to fetch CRLs; *order* is its number.

    *answers* is None if DNS was not asked, *crls* is None if no CRL was to be fetched.
    """

    order: Count
    links: Annotated[tuple[ProbedLink, ...], Field(max_length=MOST_TARGETS)] = ()
    answers: Annotated[tuple[DnsSeen, ...], Field(max_length=MOST_QUESTIONS)] | None = None
    crls: Annotated[tuple[FetchedCrl, ...], Field(max_length=MOST_CRLS)] | None = None


class ServerFacts(_Part):
    """What a server reports and `sipmesh status` shows. *at* is the server's own clock. *release* is that of sipmesh.

    *highest* is the highest version that it knows of, and *fencing* the highest fencing number that it has seen.

    *refuses_from* is the instant from which the server refuses every peer if it receives nothing new, and *refuses_because* says
    why. *bindings* identifies the store in which the server keeps bindings; it is empty if the server keeps none, or has not
    reached it yet. *bindings_fault* says why that store cannot be used, *messages_fault* why
    the database of stored messages cannot. *unanswered* names the servers that do not answer.
    *taken_over* are the pools whose users the server serves in place of their own servers.
    *neighbours* are its links to servers and partners, the busiest first. *workers_fault* says which of its workers do not serve.
    *messages* counts those of all links since the start, and *refusals* the refused peers and messages by their codes.
    *trunks* are the trunks of a gateway, and *callers* the users who have used half of a bound of calls. *applications* are what
    a front end uses of each. *peer_faults* are the peers to which no link works, and the CRLs that have expired.
    *records_fault* says why records of calls wait. *renewal_fault* says why the server gets no certificate of the public CA.
    *rtpengine_fault* says why the rtpengine of its host cannot be used, *awaits_restart* what needs a restart of the server.
    *call_bounds* say which users and trunks have reached a bound of calls in the last day.
    """

    release: Name = ""
    digest: Hex = ""
    highest: Count = 0
    fencing: Count = 0
    at: Instant | None = None
    error: Text = ""
    started_at: Instant | None = None
    certificate: ShownCertificate | None = None
    certificate_fault: Text = ""
    renewal_fault: Text = ""
    renewal_remedy: Text = ""
    refuses_from: Instant | None = None
    refuses_because: Text = ""
    links: Annotated[Mapping[Name, Count], Field(max_length=16)] = Field(default_factory=dict)
    peers: Annotated[tuple[Name, ...], Field(max_length=MOST_NAMES)] = ()
    refused: Annotated[tuple[Text, ...], Field(max_length=MOST_REFUSALS)] = ()
    anchors: Annotated[tuple[Hex, ...], Field(max_length=MOST_NAMES)] = ()
    bindings: Hex = ""
    bindings_fault: Text = ""
    messages_fault: Text = ""
    workers_fault: Text = ""
    records_fault: Text = ""
    rtpengine_fault: Text = ""
    awaits_restart: Text = ""
    call_bounds: Annotated[tuple[Text, ...], Field(max_length=MOST_REFUSALS)] = ()
    unanswered: Annotated[tuple[Name, ...], Field(max_length=MOST_NAMES)] = ()
    taken_over: Annotated[tuple[Name, ...], Field(max_length=MOST_NAMES)] = ()
    neighbours: Annotated[tuple[Neighbour, ...], Field(max_length=MOST_NEIGHBOURS)] = ()
    messages: Count = 0
    refusals: Annotated[Mapping[Name, Count], Field(max_length=MOST_CAUSES)] = Field(default_factory=dict)
    peer_faults: Annotated[tuple[PeerFault, ...], Field(max_length=MOST_PEER_FAULTS)] = ()
    trunks: Annotated[tuple[TrunkUse, ...], Field(max_length=MOST_NAMES)] = ()
    callers: Annotated[tuple[CallerUse, ...], Field(max_length=MOST_CAUSES)] = ()
    applications: Annotated[tuple[ApplicationUse, ...], Field(max_length=MOST_NAMES)] = ()


class ServerStatus(ServerFacts):
    """One report: *number* is the version in force. *request* is a signed request for a new certificate.

    *probed* are the links that management has had probed last.
    *ago_s* is the age of a report that another server brings, in seconds. *unreadable* is set by a front end that could not read
    the report of an edge behind it.
    """

    number: Count
    ago_s: Annotated[float, Strict(), Field(ge=0, le=LONGEST_AGO_S, allow_inf_nan=False)] = 0.0
    request: Annotated[str, Strict(), Field(max_length=65_536)] = ""
    unreadable: Text = ""
    probed: Probed | None = None

    @classmethod
    def read(cls, document: object) -> ServerStatus:
        """Read a report from decoded JSON; raises `RemoteError` with the first part that does not fit."""
        try:
            return cls.model_validate(document)
        except ValidationError as wrong:
            first = wrong.errors(include_url=False, include_input=False)[0]
            where = ".".join(map(str, first["loc"])) or "report"
            raise RemoteError(printable(f"{where}: {misfit_of(first)}", LONGEST_FAULT), rule=RULE) from None

    def to_json(self) -> dict[str, object]:
        """Return the report as it travels, without the keys that have their default."""
        return self.model_dump(mode="json", exclude_defaults=True)

    def facts(self) -> dict[str, object]:
        """Return every key that `sipmesh status --json` shows."""
        return self.model_dump(mode="json", exclude={"request", "ago_s", "unreadable", "probed"})


def text(given: str) -> str:
    """Return one of our texts, cut to what a report may contain."""
    return printable(given, LONGEST_TEXT - 100)[:LONGEST_TEXT]


def relayed_reports(statuses: Mapping[str, tuple[float, ServerStatus]], now: float) -> dict[str, dict[str, object]]:
    """Return the reports of edges as a front end relays them, each with its age in seconds.

    *statuses* has the loop time and the status of each edge; *now* is the loop time. The shortest reports come first, up to
    `LONGEST_RELAYED`: an edge with a long report loses only its own report.
    """
    reports = {name: {**status.to_json(), "ago_s": round(now - at, 3)} for name, (at, status) in statuses.items()}
    lengths = {name: len(json.dumps(report)) for name, report in reports.items()}
    found: dict[str, dict[str, object]] = {}
    octets = 0
    for name in sorted(reports, key=lambda name: (lengths[name], name)):
        octets += lengths[name]
        if octets > LONGEST_RELAYED:
            break
        found[name] = reports[name]
    return found
