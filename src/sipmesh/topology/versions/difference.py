"""The difference between two topologies as text: one line for each change, by its meaning and not by the document's text.

Every change is listed. A field without a text of its own is listed by its name. A change of order is listed too, because the
first of several may have a meaning.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from sipmesh.topology.document.media_policy import MediaPolicy
from sipmesh.topology.versions.part_changes.authority_changes import authority_changes, device_ca_changes
from sipmesh.topology.versions.part_changes.directory_changes import directory_changes, scim_changes
from sipmesh.topology.versions.part_changes.field_changes import Words, from_to, list_fields, list_names
from sipmesh.topology.versions.part_changes.operator_changes import (
    approval_changes,
    console_changes,
    invitation_changes,
    oauth_changes,
)
from sipmesh.topology.versions.part_changes.partner_changes import federation_changes, partner_changes
from sipmesh.topology.versions.part_changes.pool_changes import pool_changes
from sipmesh.topology.versions.part_changes.storage_changes import storage_changes
from sipmesh.trust.formatting import tell, tell_list

if TYPE_CHECKING:
    from sipmesh.topology.document.load import Loaded
    from sipmesh.topology.document.model import Topology
    from sipmesh.topology.document.parts.acme import Acme
    from sipmesh.topology.document.parts.call_records import CallRecords
    from sipmesh.topology.document.parts.files import Files
    from sipmesh.topology.document.parts.history import History
    from sipmesh.topology.document.parts.services import Dns, Turn, WebSocket


def difference(old: Loaded, new: Loaded) -> Sequence[str]:
    """Give each change from *old* to *new* as one line; empty if they mean the same."""
    return list(dict.fromkeys(_changes(old, new)))


def _changes(old: Loaded, new: Loaded) -> Iterator[str]:
    before, after = old.topology, new.topology
    yield from _organisation(before, after)
    yield from _sites(before, after)
    yield from pool_changes(before, after)
    yield from authority_changes(before.authority, after.authority, (old.authority, new.authority), "our CA")
    yield from device_ca_changes(before.authority, after.authority, (old.authority, new.authority))
    yield from federation_changes(before, after)
    yield from partner_changes(old, new)
    yield from storage_changes(before, after)
    yield from list_fields("", before.media, after.media, _MEDIA)
    yield from list_fields("", before.messages, after.messages, _MESSAGES)
    yield from list_fields("", before.numbers, after.numbers, _NUMBERS)
    yield from list_fields("", before.presence, after.presence, _PRESENCE)
    yield from _turn(before.turn, after.turn)
    yield from _records(before.call_records, after.call_records)
    yield from _files(before.files, after.files)
    yield from _acme(before.acme, after.acme)
    yield from console_changes(before.console, after.console)
    yield from invitation_changes(before.invitations, after.invitations)
    yield from oauth_changes(before.oauth, after.oauth)
    yield from directory_changes(before.directory, after.directory)
    yield from scim_changes(before.scim, after.scim)
    yield from approval_changes(before.approvals, after.approvals)
    yield from list_fields("", before, after, _TOPOLOGY)


# Each field with the text for its change. A field without a text is listed by its name.


def _domains(policies: Mapping[str, MediaPolicy]) -> tuple[str, ...]:
    return tuple(f"{domain} {policy}" for domain, policy in sorted(policies.items()))


def _websocket(_whose: str, old: WebSocket | None, new: WebSocket | None) -> str:
    if new is None:
        return "front ends no longer listen for WebSocket"
    pages = f"of {tell_list(new.origins)}" if new.origins else "at https of each SIP domain"
    if old is None:
        also = ". They serve the web phone" if new.phone else ""
        return f"front ends listen for WebSocket, and pages {pages} may connect{also}"
    if old.origins != new.origins:
        also = f". {_web_phone(new)}" if old.phone != new.phone else ""
        return f"pages {pages} may now connect by WebSocket, and no others{also}"
    return _web_phone(new)


def _web_phone(part: WebSocket) -> str:
    return "Front ends serve the web phone" if part.phone else "Front ends no longer serve the web phone"


_PER_DOMAIN = from_to("the media of calls of single domains", "the default")

_DNS = from_to("the list of DNS servers to ask", "the machine's own")
_DNS_ANCHORS = from_to("the list of DNSSEC trust anchors", "none: a resolver of the machine validates")


def _dns(_whose: str, old: Dns | None, new: Dns | None) -> str:
    """Tell of servers and trust anchors, whichever have changed."""
    told = []
    if (old and old.servers) != (new and new.servers):
        told.append(_DNS("", old and old.servers, new and new.servers))
    before, after = (part.trust_anchors if part is not None else () for part in (old, new))
    if before != after:
        told.append(_DNS_ANCHORS("", before or None, after or None))
    return "; ".join(told)


_TOPOLOGY: Mapping[str, Words | None] = {
    **dict.fromkeys(
        (
            "organisation",
            "sip_domains",
            "sites",
            "authority",
            "pools",
            "federation",
            "storage",
            "media",
            "messages",
            "numbers",
            "presence",
            "console",
            "invitations",
            "oauth",
            "directory",
            "scim",
            "approvals",
            "turn",
            "call_records",
            "files",
            "acme",
        )
    ),
    "sipmesh": from_to("the format of the document"),
    "dns": _dns,
    "caa": lambda _, _old, new: f"the CAA records are of {tell_list([each.data for each in new]) or 'no CA'}",
    "dane": lambda _, _old, new: "TLSA records are needed in DNS" if new else "TLSA records have no use in DNS",
    "post_quantum": lambda _, _old, new: (
        "links between our servers need a post-quantum key exchange"
        if new
        else "links between our servers need no post-quantum key exchange"
    ),
    "websocket": _websocket,
    "user_search": from_to("whom users find by a search"),
    "history": lambda _, old, new: (
        f"the message history of users is kept for {_days(new)} instead of {_days(old)} days"
    ),
    "call_rules": from_to("the list of rules of calls for users without rules", "none"),
}

_MEDIA: Mapping[str, Words | None] = {
    "default": from_to("the media of calls of our users"),
    "domains": lambda _, old, new: _PER_DOMAIN("", _domains(old), _domains(new)),
}

_PRESENCE: Mapping[str, Words | None] = {
    "inside": from_to("what users of our domains may see of the presence of our users"),
    "partners": from_to("what users of partners may see of the presence of our users"),
}

_TURN: Mapping[str, Words | None] = {
    "servers": from_to("the list of TURN servers"),
    "secret_file": from_to("the file with the secret of the TURN servers"),
    "lifetime_s": from_to("the seconds for which a password for TURN is valid"),
}

_RECORDS: Mapping[str, Words | None] = {
    "days": from_to("the days for which records of calls are kept"),
    "megabytes": from_to("the MB of call records on each server"),
    "syslog": from_to("the syslog server that gets records of calls", "none"),
    "hook": from_to("the URL that gets records of calls", "none"),
    "otlp": from_to("the URL that gets spans of calls", "none"),
    "anchors": from_to("the list of anchors of the receivers of records of calls", "those of the machine"),
}

_FILES: Mapping[str, Words | None] = {
    "days": from_to("the days for which files of users are kept"),
    "largest_mb": from_to("the MB of the largest file"),
    "user_mb": from_to("the MB of all files of one user"),
    "pool_mb": from_to("the MB of all files of the users of one pool"),
    "total_mb": from_to("the MB of all files"),
}

_NUMBERS: Mapping[str, Words | None] = {
    "country": from_to("the country code of national numbers", "none"),
    "national": from_to("what users type before a national number"),
    "international": from_to("what users type before a country code"),
    "emergency": from_to("the list of emergency numbers", "none"),
    "emergency_services": from_to("the list of numbers of emergency services", "none"),
    "classes": from_to("the list of classes of numbers", "none"),
    "outside_line": from_to("what users type before each outside number", "nothing"),
    "extensions": from_to("the list of extensions", "none"),
    "sites": from_to("the list of sites with numbers of their own", "none"),
    "routes": from_to("the list of routes of numbers", "none"),
}

_MESSAGES: Mapping[str, Words | None] = {
    "per_user": from_to("the number of messages that are stored for one user"),
    "per_sender": from_to("the number of messages that are stored for one user and one sender"),
    "lifetime_days": from_to("the days for which a message is stored"),
}


def _organisation(old: Topology, new: Topology) -> Iterator[str]:
    if old.organisation != new.organisation:
        yield f"the organisation changes its name from {tell(old.organisation)} to {tell(new.organisation)}"
    yield from list_names(
        old.sip_domains,
        new.sip_domains,
        lambda name: f"{name} is added to our SIP domains",
        lambda name: f"{name} is removed from our SIP domains",
        "our SIP domains",
    )


def _sites(old: Topology, new: Topology) -> Iterator[str]:
    yield from list_names(
        old.sites,
        new.sites,
        lambda name: f"site {name} is added",
        lambda name: f"site {name} is removed",
        "the sites",
    )


def _days(history: History | None) -> int:
    return history.days if history is not None else 0


def _records(old: CallRecords | None, new: CallRecords | None) -> Iterator[str]:
    if old is None or new is None:
        if new is not None:
            yield f"servers make records of calls and messages, which are kept for {new.days} days"
        elif old is not None:
            yield "servers make no records of calls any more"
        return
    yield from list_fields("", old, new, _RECORDS)


def _files(old: Files | None, new: Files | None) -> Iterator[str]:
    if old is None or new is None:
        if new is not None:
            yield f"users may send files of up to {new.largest_mb} MB, which are kept for {new.days} days"
        elif old is not None:
            yield "users may send no files any more, and those that were sent are removed"
        return
    yield from list_fields("", old, new, _FILES)


def _acme(old: Acme | None, new: Acme | None) -> Iterator[str]:
    if old is not None and new is not None:
        yield from list_fields("the public CA", old, new, {})
    elif new is not None:
        yield f"servers may get certificates for phones and browsers from {tell(new.directory)}"
    elif old is not None:
        yield "servers get no certificates of a public CA any more"


def _turn(old: Turn | None, new: Turn | None) -> Iterator[str]:
    if old is None or new is None:
        if old is not new:
            yield f"users get {'credentials for TURN servers' if new else 'no credentials for TURN servers any more'}"
        return
    yield from list_fields("", old, new, _TURN)
