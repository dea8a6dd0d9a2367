"""The parameters of the operations, each with its bounds."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Final, Literal, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from sipmesh.pki.crl.builder import Reason
from sipmesh.pki.issuance.profiles import LEAF_LIFETIME, LONGEST_LEAF_LIFETIME
from sipmesh.routing.call_rules.call_rules import LONGEST_RING_S, MOST_DELEGATES, MOST_MEMBERS, GroupOrder
from sipmesh.routing.call_rules.call_rules import MOST_TARGETS as MOST_RINGING
from sipmesh.server.enrolment.new_token import HOURS, MOST_HOURS
from sipmesh.server.provisioning.client_kind import DESK_PHONES, ClientKind
from sipmesh.server.replication.probe_order import MOST_TARGETS
from sipmesh.sip.text import is_digits
from sipmesh.storage.call_records.call_query import CallQuestion
from sipmesh.storage.users.user_list import UserSort
from sipmesh.topology.builder.additions import MOST_SERVERS
from sipmesh.topology.builder.outline import Kind
from sipmesh.topology.document.identity_policy import IdentityPolicy
from sipmesh.topology.document.media_policy import MediaPolicy
from sipmesh.topology.document.names import fqdn, http_url
from sipmesh.topology.document.watching import Watching
from sipmesh.topology.versions.publication import LONGEST_WHY
from sipmesh.trust.role import ClientUsage, Role

LONGEST_NUMBER: Final = len(str(2**53))
"""Digits of a parameter: no number of ours is higher (RFC 8259 section 6)."""

LONGEST_NAME: Final = 253
"""Octets of a host name (RFC 1035 section 3.1)."""

LONGEST_ADDRESS: Final = 320
LONGEST_PASSWORD: Final = 256
MOST_HOURS_OF_INVITATION: Final = 30 * 24

MOST_PAGES: Final = 10**6
LONGEST_WAIT_S: Final = 20
"""Seconds for which an operation may wait: a connection to the console ends after a minute."""

MOST_ENTRIES: Final = 64
"""Items of a list in one change."""

MOST_ROOTS: Final = 8
LONGEST_PEM: Final = 16 << 10
LONGEST_ASSIGNMENT: Final = 2_000

Why = Annotated[str, Field(min_length=1, max_length=LONGEST_WHY)]
Number = Annotated[int, Field(ge=1, le=2**53)]
HostName = Annotated[str, Field(min_length=1, max_length=LONGEST_NAME)]
Targets = Annotated[Sequence[HostName], Field(min_length=1, max_length=MOST_TARGETS)]


Text = Annotated[str, Field(max_length=LONGEST_ADDRESS, pattern=r"^[^\x00]*$")]
"""What a database is asked for: PostgreSQL has no text with a NUL."""

Target = Annotated[str, Field(min_length=1, max_length=LONGEST_ADDRESS, pattern=r"^[^\x00]*$")]
Name = Annotated[str, Field(max_length=LONGEST_NAME)]
Domain = Annotated[str, Field(max_length=LONGEST_NAME), AfterValidator(fqdn)]
Domains = Annotated[Sequence[Domain], Field(min_length=1, max_length=MOST_ENTRIES)]
Certificates = Annotated[
    Sequence[Annotated[str, Field(max_length=LONGEST_PEM)]], Field(min_length=1, max_length=MOST_ROOTS)
]
_FINGERPRINT: Final = "^[0-9A-Fa-f]{2}(:?[0-9A-Fa-f]{2}){31}$"


def _fingerprint(text: object) -> object:
    if isinstance(text, str) and re.fullmatch(_FINGERPRINT, text) is None:
        raise ValueError("is not a SHA-256 fingerprint: write its 64 hexadecimal digits, with or without colons")
    return text


Fingerprint = Annotated[str, Field(pattern=_FINGERPRINT), BeforeValidator(_fingerprint)]
Urls = Annotated[Sequence[Annotated[str, AfterValidator(http_url)]], Field(min_length=1, max_length=MOST_ROOTS)]
AnyAssignment = Annotated[str, Field(min_length=3, max_length=LONGEST_ASSIGNMENT)]
Assignments = Annotated[Sequence[AnyAssignment], Field(min_length=1, max_length=MOST_ENTRIES)]


LARGEST_TABLE: Final = 48 << 10
"""Characters of a table of invitations, about 800 rows: the command takes more."""


class Given(BaseModel):
    """The parameters of an operation; an unknown one is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Nothing(Given):
    """No parameters."""


class VersionNumber(Given):
    """The number of a published version."""

    version: Number


class LinkId(Given):
    """The id of a live link of *server*, which runs on the machine of management; by default of management itself."""

    id: Annotated[str, Field(min_length=1, max_length=64)]
    server: Annotated[str, Field(max_length=LONGEST_NAME)] = ""


class ToTrace(Given):
    """A trace of *what*, as in `sipmesh trace`. The first request with an *id* begins it, and each later one goes on."""

    id: Annotated[str, Field(min_length=8, max_length=64)]
    what: Annotated[str, Field(min_length=1, max_length=256)]
    bodies: bool = False


class ToFind(Given):
    """What to search for: a part of a name, a number, a serial number, a fingerprint, or the reference of a refusal."""

    find: Annotated[str, Field(min_length=1, max_length=LONGEST_ADDRESS, pattern=r"^[^\x00]*$")]


class CallsToRead(CallQuestion, Given):
    """Which records to read. *user* is a user, with or without domain, or a domain; *only* is INVITE, MESSAGE or empty.

    *call* is a Call-ID, the id of a record, or the reference of a refusal. *before* is the id of the last record of the page
    before.
    """


class ToEndCall(Given):
    """The *id* of the record of a call that is up."""

    id: Annotated[str, Field(min_length=1, max_length=256)]


class ToEraseUser(Given):
    """The *user* to erase, with or without domain."""

    user: Annotated[str, Field(min_length=1, max_length=LONGEST_ADDRESS)]


class Lines(Given):
    """Only lines with a higher number than *since*, and a lower one than *before*, that have the text *find*."""

    find: Text = ""

    since: Annotated[int, Field(ge=0, le=2**53)] = 0
    before: Annotated[int, Field(ge=1, le=2**53)] = 2**53


class ToPublish(Given):
    """What to publish: *base* and *digest* are those of the plan that the operator has read."""

    why: Why
    base: Annotated[int, Field(ge=0, le=2**53)]
    digest: Annotated[str, Field(min_length=1, max_length=64)]
    force: bool = False


class ToApply(ToPublish):
    """What to apply, as in `ToPublish`; *rolls_back*: go back to the version before if the verification fails.

    *wait_s* is how many seconds the servers have to confirm the version.
    """

    rolls_back: bool = True
    wait_s: Annotated[int, Field(ge=0, le=LONGEST_WAIT_S)] = 10


class ToRollBack(Given):
    """The *version* to go back to, and *base*, the version in force."""

    version: Number
    base: Number
    why: Annotated[str, Field(max_length=LONGEST_WHY)] = ""
    force: bool = False


class ToBlock(Given):
    """The domain or edge to block."""

    name: Annotated[str, Field(min_length=1, max_length=LONGEST_NAME)]


class ToIssue(Given):
    """The server of the topology that gets a certificate, valid for *days*; its key is on the machine of management."""

    server: Annotated[str, Field(min_length=1, max_length=LONGEST_NAME)]
    days: Annotated[int, Field(ge=1, le=LONGEST_LEAF_LIFETIME.days)] = LEAF_LIFETIME.days


class ToEnrol(Given):
    """What gets a one-time token, valid for *hours*: a server by EST or ACME, or the *device* of a *user* by EST."""

    server: Name = ""
    user: Text = ""
    device: Annotated[str, Field(max_length=32)] = ""
    hours: Annotated[int, Field(ge=1, le=MOST_HOURS)] = HOURS


class EnrolmentId(Given):
    """The id of a one-time token or of an ACME account."""

    id: Annotated[str, Field(min_length=1, max_length=64)]


class ToRevoke(Given):
    """The certificate to revoke: *serial* is hexadecimal, with or without colons. No name of a server is needed."""

    serial: Annotated[str, Field(pattern="^[0-9A-Fa-f](:?[0-9A-Fa-f]){0,39}$")]
    reason: Reason = Reason.UNSPECIFIED


class UserName(Given):
    """A user, such as alice@example.com; alice is enough if there is one domain only."""

    user: Annotated[str, Field(min_length=1, max_length=LONGEST_ADDRESS)]


class UsersToList(Given):
    """Only users whose address is above *after*, and with *find* in their address or in an alias; the *page* of them."""

    after: Text = ""
    find: Text = ""
    sort: UserSort = UserSort.USER
    descending: bool = False
    page: Annotated[int, Field(ge=1, le=MOST_PAGES)] = 1


class NewUser(UserName):
    """A new user; *pool* is needed if there is a choice of home pools."""

    password: Annotated[str, Field(min_length=1, max_length=LONGEST_PASSWORD)]
    pool: Annotated[str, Field(max_length=LONGEST_NAME)] = ""


class NewPassword(UserName):
    """The new password of a user."""

    password: Annotated[str, Field(min_length=1, max_length=LONGEST_PASSWORD)]


class NewHome(UserName):
    """The new home pool of a user."""

    pool: Annotated[str, Field(min_length=1, max_length=LONGEST_NAME)]


class UserAlias(UserName):
    """An alias of a user: a number, or another SIP name."""

    alias: Annotated[str, Field(min_length=1, max_length=LONGEST_ADDRESS)]


class NewInvitations(Given):
    """A *table* in CSV: its first line names the columns, and each row invites a device of a user for some *hours*."""

    table: Annotated[str, Field(min_length=1, max_length=LARGEST_TABLE)]
    hours: Annotated[int, Field(ge=1, le=MOST_HOURS_OF_INVITATION)] = 72


class UserRules(UserName):
    """Changes of the rules of a user's calls; what is null stays.

    A target is a user, an alias, a number or a user of a partner, and ``none`` removes it. *callers* has ``allow``, ``block`` or
    ``none`` by the caller.
    """

    always: Target | None = None
    busy: Target | None = None
    no_answer: Target | None = None
    away: Target | None = None
    ring_s: Annotated[int, Field(ge=0, le=LONGEST_RING_S)] | None = None
    also: Annotated[Sequence[Target], Field(max_length=MOST_RINGING)] | None = None
    delegates: Annotated[Sequence[Target], Field(max_length=MOST_DELEGATES)] | None = None
    do_not_disturb: bool | None = None
    unlisted: bool | None = None
    callers: Annotated[Mapping[Target, Literal["allow", "block", "none"]], Field(max_length=MOST_ENTRIES)] | None = None


class GroupChange(UserName):
    """Changes of a group; what is null stays. *add* and *leave* are users, and *overflow* is a target as for rules of calls."""

    order: GroupOrder | None = None
    add: Annotated[Sequence[Target], Field(max_length=MOST_MEMBERS)] | None = None
    leave: Annotated[Sequence[Target], Field(max_length=MOST_MEMBERS)] | None = None
    ring_s: Annotated[int, Field(ge=0, le=LONGEST_RING_S)] | None = None
    member_s: Annotated[int, Field(ge=0, le=LONGEST_RING_S)] | None = None
    overflow: Target | None = None


class NewGroup(GroupChange):
    """A new group, under the name *user*; *pool* is needed if there is a choice of home pools."""

    pool: Annotated[str, Field(max_length=LONGEST_NAME)] = ""


class UserWatcher(UserName):
    """Who may see the presence of a user: *watcher* is an address, ``@domain`` or ``*``; the rule ``none`` removes the rule."""

    watcher: Target
    rule: Watching | Literal["none"]


class NewInvitation(UserName):
    """An invitation that is valid for some *hours*; *client* is the only kind of phone that may take it, empty for any.

    With the *client* ``portal`` it sets up no device, and signs the user in to the portal.

    *mac* is that of a desk phone. Only clients in *network* may take it. A *remote* device logs in at an edge. With
    *certificate*, a softphone gets a certificate in place of a password.
    """

    hours: Annotated[int, Field(ge=1, le=MOST_HOURS_OF_INVITATION)] = 72
    device: Annotated[str, Field(max_length=32)] = ""
    client: ClientKind | Literal["", "portal"] = ""
    mac: Annotated[str, Field(max_length=17)] = ""
    network: Annotated[str, Field(max_length=64)] = ""
    remote: bool = False
    certificate: bool = False

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        if (self.client in DESK_PHONES) != bool(self.mac):
            raise ValueError("a MAC address belongs to a desk phone: give both, or none")
        return self


class InvitationId(Given):
    """The id of an open invitation, which is no secret."""

    id: Annotated[str, Field(min_length=1, max_length=64)]


class UserDevice(UserName):
    """A device of a user that has a password of its own."""

    device: Annotated[str, Field(min_length=1, max_length=32)]


class NewDevicePassword(UserName):
    """The name of a new device of a user, which gets a password of its own."""

    device: Annotated[str, Field(min_length=1, max_length=32)]


class ToAwait(Given):
    """Wait at most *wait_s* seconds until the servers have put *version* in force."""

    version: Number
    wait_s: Annotated[int, Field(ge=0, le=LONGEST_WAIT_S)] = 0


class ToProbe(Given):
    """Links to open once: by the server that opens them, the servers and partners at their other ends."""

    links: Annotated[Mapping[HostName, Targets], Field(min_length=1, max_length=MOST_TARGETS)]
    wait_s: Annotated[int, Field(ge=0, le=LONGEST_WAIT_S)] = 15


class ServersToAsk(Given):
    """The *servers* that ask DNS, or fetch CRLs, for the version in force; *wait_s* is how many seconds they have."""

    servers: Targets
    wait_s: Annotated[int, Field(ge=0, le=LONGEST_WAIT_S)] = 15


class DraftChange(Given):
    """A change of the draft; with *dry_run* the draft stays as it is.

    *planned* is from the reply to a dry run: the change is refused if it would do something else by now.
    """

    dry_run: bool = False
    planned: Annotated[str, Field(max_length=64)] = ""


class ServerToAdd(Given):
    """A server of a new pool; an empty field is derived. *outside* is its address for partners."""

    name: Name = ""
    address: Name = ""
    outside: Name = ""
    machine: Name = ""


class PoolToAdd(DraftChange):
    """A pool with its *servers*; an empty field is derived from the draft."""

    role: Role
    name: Name = ""
    servers: Annotated[Sequence[ServerToAdd], Field(max_length=MOST_SERVERS)] = ()
    internal_name: Name = ""
    next_hop: Name = ""
    speaks_for: Annotated[Sequence[Domain], Field(max_length=MOST_ENTRIES)] = ()
    sip_addresses: Annotated[Sequence[Name], Field(max_length=MOST_ENTRIES)] = ()
    numbers: Annotated[Sequence[Name], Field(max_length=MOST_ENTRIES)] = ()
    public: bool = False
    screens: Annotated[Sequence[Name], Field(max_length=MOST_ENTRIES)] = ()
    if_away: Literal["", "pass", "refuse"] = ""
    site: Name = ""


class MemberToAdd(DraftChange):
    """A server for a *pool*; an empty field is derived from the draft."""

    name: Name = ""
    pool: Name = ""
    address: Name = ""
    outside: Name = ""
    machine: Name = ""
    site: Name = ""


class NameToAdd(DraftChange):
    """A SIP domain or a site to add."""

    name: HostName


class KeysToChange(DraftChange):
    """*changes* of keys of the pool or server *name*, or of the ``network``: KEY=VALUE, KEY+=ITEM, KEY-=ITEM, KEY=."""

    name: HostName
    changes: Assignments


class PartToRemove(DraftChange):
    """The pool, server, SIP domain or site to remove; *kind* where two parts share the name."""

    name: HostName
    kind: Kind | None = None


class PartToRename(DraftChange):
    """The pool, server, SIP domain or site *name*, which gets the name *new*."""

    name: HostName
    new: HostName


class PartnerToAdd(DraftChange):
    """A partner: *anchors* are root certificates (PEM), *crls* the URLs of the CRLs of each CA in its chain.

    If there are *fingerprints*, the root certificates must have these and no others: SHA-256 in hexadecimal, as the partner has
    told them. *changes* set further keys of the entry, such as ``trunk.gateway=gw.example.com``.
    """

    domains: Domains
    anchors: Certificates
    crls: Urls
    edge: Name = ""
    address: Name = ""
    client_usage: ClientUsage = ClientUsage.STRICT
    third_party: bool = False
    media: MediaPolicy | None = None
    identity: IdentityPolicy | None = None
    fingerprints: Annotated[Sequence[Fingerprint], Field(max_length=MOST_ROOTS)] = ()
    changes: Annotated[Sequence[AnyAssignment], Field(max_length=MOST_ENTRIES)] = ()


class PartnerToChange(DraftChange):
    """*changes* of keys of the partner with this *domain*: KEY=VALUE, KEY+=ITEM, KEY-=ITEM, KEY=."""

    domain: Domain
    changes: Assignments


class PartnerToRemove(DraftChange):
    """The partner with this *domain*; *force* also if this breaks something."""

    domain: Domain
    force: bool = False


class NameToUnblock(DraftChange):
    """A blocked domain or edge."""

    name: HostName


def typed(given: type[Given], texts: Mapping[str, str]) -> Mapping[str, str | int]:
    """Return parameters that came as texts, of a query or a form, with the numbers and truths of *given* as such.

    A text that is no number, or is longer than any, stays as it is, for the operation to refuse.
    """
    kinds = {name: part.annotation for name, part in given.model_fields.items()}
    return {name: _typed(kinds.get(name), text) for name, text in texts.items()}


def _typed(kind: object, text: str) -> str | int:
    if kind is bool:
        return {"true": True, "false": False}.get(text, text)
    return int(text) if kind is int and _is_number(text) else text


def _is_number(text: str) -> bool:
    return is_digits(text) and len(text) <= LONGEST_NUMBER
