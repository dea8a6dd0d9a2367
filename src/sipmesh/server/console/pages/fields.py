"""The fields of the forms: each has the name of a parameter of an operation."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from sipmesh.pki.crl.builder import Reason
from sipmesh.routing.call_rules.call_rules import GroupOrder
from sipmesh.server.console.parameters import LONGEST_ADDRESS, LONGEST_NAME, LONGEST_NUMBER, LONGEST_PASSWORD
from sipmesh.server.provisioning.client_kind import ClientKind
from sipmesh.sip.text import is_digits
from sipmesh.storage.users.invitation import PORTAL_LINK
from sipmesh.topology.document.identity_policy import IdentityPolicy
from sipmesh.topology.document.media_policy import MediaPolicy
from sipmesh.topology.document.watching import Watching
from sipmesh.topology.versions.publication import LONGEST_WHY
from sipmesh.trust.role import ClientUsage

POOLS: Final = "pools"
"""The choices of a field that are the pools of front ends."""

EVERY_POOL: Final = "every pool"
"""The choices of a field that are the pools which carry calls."""


@dataclass(frozen=True, slots=True)
class Field:
    """A field called *name*; *kind* is a type of an ``input`` element, ``select`` or ``area``.

    A select has *choices*, or those of the topology in force that *of_network* names. A text may have them as suggestions: a
    name of the draft is typed. *reads* makes the value of the parameter of what was typed, where that is no text. *empty* is
    what a select says for no choice.
    """

    name: str
    label: str = ""
    kind: str = "text"
    choices: tuple[str, ...] = ()
    of_network: str = ""
    required: bool = True
    longest: int = LONGEST_NAME
    hint: str = ""
    reads: Callable[[str], object] = str
    empty: str = "as the topology says"


_BETWEEN: Final = re.compile(r"[ \t\r\n,]+")


def items(text: str) -> Sequence[str]:
    """Read names or addresses that spaces, commas or lines divide."""
    return [one for one in _BETWEEN.split(text) if one]


def lines(text: str) -> Sequence[str]:
    """Read a text from each line."""
    return [line for line in (one.strip(" \t\r") for one in text.split("\n")) if line]


def servers(text: str) -> Sequence[Mapping[str, str]]:
    """Read a server from each line: its name, its address, and the address for partners of a server of an edge."""
    typed = filter(None, map(items, text.split("\n")))
    return [dict(zip(("name", "address", "outside"), line, strict=False)) for line in typed]


def number(text: str) -> int | str:
    """Read a number; another text stays, for the operation to refuse."""
    return int(text) if is_digits(text) and len(text) <= LONGEST_NUMBER else text


def callers(text: str) -> Mapping[str, str]:
    """Read a caller and a rule from each line."""
    lines = [items(one) for one in text.split("\n")]
    return {" ".join(line[:-1]): line[-1] for line in lines if line}


def hidden(name: str) -> Field:
    """Return a field that a person does not see."""
    return Field(name, kind="hidden")


TARGET_HINT: Final = "A user, an alias, a number, or a user of a partner. Empty: as before. none: no rule"
USER: Final = Field(
    "user",
    "User",
    longest=LONGEST_ADDRESS,
    hint="Such as alice@example.com; alice is enough if there is one SIP domain",
)
OF_USER: Final = hidden("user")
PASSWORD: Final = Field("password", "Password", kind="password", longest=LONGEST_PASSWORD)
INVITATION_FIELDS: Final = (
    Field(
        "device", "Name of the device", required=False, longest=32, hint="Such as desk. Without it, the kind of phone"
    ),
    Field(
        "client",
        "Phone",
        kind="select",
        choices=("", *map(str, ClientKind), PORTAL_LINK),
        required=False,
        empty="any phone",
        hint="Or the portal: a link that signs the user in",
    ),
    Field("mac", "MAC address", required=False, longest=17, hint="Of a desk phone"),
    Field("hours", "Hours for which it is valid", required=False, longest=3, hint="Without it, 72"),
    Field("network", "Only from", required=False, longest=64, hint="A network such as 10.0.0.0/8"),
    Field(
        "certificate",
        "with a certificate, and no password",
        kind="checkbox",
        required=False,
        reads=lambda text: text == "yes",
        empty="as before",
    ),
)
LONGEST_MEMBERS: Final = 20_000
GROUP: Final = replace(USER, label="Group", hint="Such as sales, or sales@example.com")
LEAVE: Final = Field("leave", "Members who leave", "area", required=False, longest=LONGEST_MEMBERS, reads=items)
GROUP_FIELDS: Final = (
    Field("add", "New members", "area", required=False, longest=LONGEST_MEMBERS, reads=items, hint="Users, one a line"),
    Field(
        "order", "They ring", "select", ("", *map(str, GroupOrder)), required=False, empty="as before, or all at once"
    ),
    Field(
        "ring_s", "Seconds for which the group rings in all", required=False, longest=3, reads=number, hint="5 to 180"
    ),
    Field("member_s", "Seconds for which each member rings in turn", required=False, longest=3, reads=number),
    Field("overflow", "Calls that no member takes, to", required=False, longest=LONGEST_ADDRESS, hint=TARGET_HINT),
)
RULE_FIELDS: Final = (
    Field("always", "Forward all calls to", required=False, longest=LONGEST_ADDRESS, hint=TARGET_HINT),
    Field("busy", "When the user is busy, to", required=False, longest=LONGEST_ADDRESS),
    Field("no_answer", "When a call is not answered, to", required=False, longest=LONGEST_ADDRESS),
    Field("away", "When no phone is registered, to", required=False, longest=LONGEST_ADDRESS),
    Field(
        "ring_s", "Seconds for which phones ring", required=False, longest=3, reads=number, hint="5 to 180. 0: no rule"
    ),
    Field(
        "also",
        "Ring at the same time",
        required=False,
        longest=2_000,
        reads=items,
        hint="Users and numbers without spaces, with commas between them. They replace those of before; none removes all",
    ),
    Field(
        "delegates",
        "Delegates, who may call for the user",
        required=False,
        longest=2_000,
        reads=items,
        hint="Users with commas between them. They replace those of before; none removes all",
    ),
    Field(
        "do_not_disturb",
        "Do not disturb",
        "select",
        ("", "yes", "no"),
        required=False,
        reads=lambda text: text == "yes",
    ),
    Field(
        "unlisted",
        "Found by no search",
        "select",
        ("", "yes", "no"),
        required=False,
        reads=lambda text: text == "yes",
    ),
    Field(
        "callers",
        "Callers",
        "area",
        required=False,
        reads=callers,
        hint="One a line, with allow, block or none: carol@example.com block. @example.com is a domain, * all callers",
    ),
)
PRESENCE_FIELDS: Final = (
    Field(
        "watcher",
        "Who",
        longest=LONGEST_ADDRESS,
        hint="An address, or a domain such as @example.com, or * for all others",
    ),
    Field(
        "rule",
        "May see whether the user is there",
        "select",
        (*map(str, Watching), "none"),
        hint="polite-block: the watcher sees a user who is always offline. none: no rule of your own",
    ),
)
POOL: Final = Field("pool", "Home pool", kind="select", of_network=POOLS, required=False)
ALIAS: Final = Field("alias", "Alias", longest=LONGEST_ADDRESS, hint="A number such as +4930123, or another SIP name")
REASON: Final = Field(
    "reason",
    "Reason",
    kind="select",
    choices=tuple(
        map(str, (Reason.KEY_COMPROMISE, Reason.SUPERSEDED, Reason.CESSATION_OF_OPERATION, Reason.UNSPECIFIED))
    ),
)
WHY: Final = Field("why", "Why", longest=LONGEST_WHY, hint="The history and the audit log have this text")
FORCE: Final = Field("force", "also if this breaks something", kind="checkbox", required=False)
SITES: Final = "sites"
"""The choices of a field that are the sites of the topology, or none."""

SITE: Final = Field("site", "Site", kind="select", of_network=SITES, required=False)
SERVER_FIELDS: Final = (
    Field("name", "Name", required=False, hint="Such as fe3 or fe3.example.com. Without it, the next free name"),
    Field(
        "pool",
        "Pool",
        of_network=EVERY_POOL,
        required=False,
        hint="The pool that the server joins; needed if more than one could be meant",
    ),
    Field("address", "Address", required=False, hint="IP address, if DNS does not have the name"),
    Field("machine", "Machine", required=False, hint="The machine that it runs on, if the address does not show it"),
    Field("outside", "Address for partners", required=False, hint="Of a server of an edge, if it is another one"),
    SITE,
)
POOL_FIELDS: Final = (
    Field("role", "Role", kind="select", choices=("front-end", "edge", "application")),
    Field("name", "Name", required=False, hint="Such as pool2 or pool2.example.com. Without it, the next free name"),
    Field(
        "servers",
        "Servers",
        kind="area",
        required=False,
        reads=servers,
        hint="One a line: NAME ADDRESS. Without it, one server",
    ),
    Field(
        "next_hop",
        "Next hop",
        of_network=POOLS,
        required=False,
        hint="Of an edge or an application: the pool of front ends behind it",
    ),
    Field(
        "speaks_for", "Speaks for", required=False, reads=items, hint="Of an application: SIP domains that it may use"
    ),
    Field(
        "sip_addresses",
        "SIP addresses",
        required=False,
        reads=items,
        longest=1000,
        hint="Of an application: its own addresses, such as voicemail@example.com",
    ),
    Field("numbers", "Numbers", required=False, reads=items, hint="Of an application: first digits, such as +49301234"),
    Field("public", "partners and trunks may call the application", kind="checkbox", required=False),
    Field(
        "screens",
        "Screens the calls to",
        required=False,
        reads=items,
        longest=1000,
        hint="Of an application: users or SIP domains whose calls it gets before their phones ring",
    ),
    Field(
        "if_away",
        "While it is away",
        kind="select",
        choices=("", "pass"),
        required=False,
        hint="Of an application that screens calls. With pass, the phones ring without it",
        empty="refuse: callers get 503",
    ),
    SITE,
)
PARTNER_FIELDS: Final = (
    Field("domains", "SIP domains", reads=items, longest=1000, hint="The main domain first"),
    Field("edge", "Edge", required=False, hint="Name of the partner's edge. Without it, DNS has it (SRV)"),
    Field("address", "Address of the edge", required=False, hint="IP address, if DNS does not have it"),
    Field(
        "anchors",
        "Root certificate",
        kind="area",
        reads=lambda text: [text],
        hint="PEM, from the partner",
    ),
    Field(
        "fingerprints",
        "Fingerprint of the root",
        reads=items,
        longest=1000,
        hint="SHA-256, all 64 digits, as the partner tells it by telephone. Do not take it from the file",
    ),
    Field("crls", "URLs of the CRLs", kind="area", reads=items, hint="One for each CA in the partner's chain"),
    Field("client_usage", "Certificate for clients", kind="select", choices=tuple(map(str, ClientUsage))),
    Field("media", "Media", kind="select", choices=("", *map(str, MediaPolicy)), required=False),
    Field("identity", "Identity (RFC 8224)", kind="select", choices=("", *map(str, IdentityPolicy)), required=False),
    Field(
        "changes",
        "Further keys",
        kind="area",
        required=False,
        reads=lines,
        hint='KEY=VALUE, one on each line. A telephone trunk has trunk.gateway=POOL, trunk.asserts=["+"] and trunk.carries=["+"]',
    ),
)
