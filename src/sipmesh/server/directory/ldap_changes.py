"""What has changed in the directory since a cookie: by RFC 4533 at OpenLDAP, by DirSync at Active Directory.

Both name identities only. The entries themselves are read by the same search as in a whole sync.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from sipmesh.server.directory.entry_reader import EntryReader
from sipmesh.server.directory.ldap_session import DIRSYNC, READ_S, DirectoryAnswerError, found_in, library
from sipmesh.server.directory.schema import SCHEMAS
from sipmesh.sip.text import ascii_lower
from sipmesh.topology.document.parts.directory import Directory, DirectoryKind

if TYPE_CHECKING:
    from collections.abc import Callable

    from sipmesh.server.directory.group_rules import GroupRules
    from sipmesh.server.directory.ldap_session import LdapSession

SYNC: Final = "1.3.6.1.4.1.4203.1.9.1.1"
EVERYTHING: Final = "(objectClass=*)"
MOST_ANSWERS: Final = 1_000
"""Answers of DirSync, each of about a megabyte, before it counts as endless."""

_ANSWER_OCTETS: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Changes:
    """The identities of entries that have *changed* or are gone, each with whether other entries may be below it in the tree.

    *cookie* asks for what changes next.
    """

    changed: Mapping[str, bool]
    cookie: bytes


COMPUTED: Final = frozenset(
    (
        "memberof",
        "ismemberof",
        "directreports",
        "managedobjects",
        "tokengroups",
        "anr",
        "hassubordinates",
        "numsubordinates",
    )
)
"""Attributes of a filter that change without a change of the entry: the directory computes them from other entries."""

_NAMED: Final = re.compile(r"\( *([A-Za-z][A-Za-z0-9-]*)(?:;[^=:]*)?(?::[^=]*)?[~<>]?=")


def followed(
    session: LdapSession, directory: Directory, rules: GroupRules
) -> Mapping[str, Callable[[bytes | None], Changes]]:
    """Return a function that asks for changes, for each base DN; none if this server cannot tell changes.

    The function takes the cookie of the answer before, None at first. It raises `DirectoryAnswerError` if the server does not
    know the cookie.
    """
    named = tuple(_NAMED.findall(directory.filter))
    if not COMPUTED.isdisjoint(map(ascii_lower, named)):
        return {}
    offered = session.says("supportedControl")
    bases = dict.fromkeys((directory.base, *([directory.group_base or directory.base] if rules.groups else [])))
    if directory.kind is DirectoryKind.OPENLDAP and SYNC in offered:
        return {base: partial(_by_syncrepl, session, base) for base in bases}
    if directory.kind is DirectoryKind.ACTIVE_DIRECTORY and DIRSYNC in offered:
        (domain,) = session.says("defaultNamingContext") or ("",)
        if domain and all(_is_below(session, base, domain) for base in bases):
            told = (*EntryReader.attributes(directory), *named, "member", "name", "isDeleted")
            return {domain: partial(_by_dirsync, session, domain, told)}
    return {}


def _is_below(session: LdapSession, dn: str, place: str) -> bool:
    inner, outer = session.normal_dn(dn), session.normal_dn(place)
    return bool(outer) and (inner == outer or inner.endswith(f",{outer}"))


def _by_syncrepl(session: LdapSession, base: str, cookie: bytes | None) -> Changes:
    """Refresh once (RFC 4533 section 3.3).

    A server that has no log of its changes, or a shorter one, names all entries that are there instead. Its state may be that
    of a backup then, in which no entry is newer, so this counts as an unknown cookie.
    """
    ldap, changed = library(), dict[str, bool]()
    text = None if cookie is None else cookie.decode("latin-1")
    control = ldap.syncrepl.SyncRequestControl(cookie=text, mode="refreshOnly")
    attributes = ("entryUUID", "hasSubordinates")
    data, returned = session.ask(base, ldap.SCOPE_SUBTREE, EVERYTHING, attributes, [control], READ_S)
    done = _of_class(returned, ldap.syncrepl.SyncDoneControl)
    after = (done[0].cookie or text) if done else None  # the cookie stays if nothing has changed
    if after is None or (text is not None and not done[0].refreshDeletes):
        raise DirectoryAnswerError(f"{session} does not tell what has changed")
    for name, given, controls in data:
        if isinstance(given, bytes) and name == ldap.syncrepl.SyncInfoMessage.responseName:
            changed.update(dict.fromkeys(_gone(session, ldap.syncrepl.SyncInfoMessage(given)), True))
        for state in _of_class(controls, ldap.syncrepl.SyncStateControl):
            is_gone = state.state == "delete"
            changed[state.entryUUID] = is_gone or _may_be_place(session, state.entryUUID, name, given)
    return Changes(changed, after.encode("latin-1"))


def _gone(session: LdapSession, info: Any) -> Sequence[str]:
    """Return the identities that a Sync Info Message says to be gone (RFC 4533 section 2.5)."""
    told = info.syncIdSet or {}
    if info.refreshPresent is not None or (told and not told["refreshDeletes"]):
        raise DirectoryAnswerError(f"{session} names all entries, not those that have changed")
    return [str(identity) for identity in told.get("syncUUIDs", ())]


def _of_class(controls: Sequence[Any], wanted: type) -> Sequence[Any]:
    return [control for control in controls if isinstance(control, wanted)]


def _may_be_place(session: LdapSession, identity: str, dn: object, given: object) -> bool:
    """Tell whether an entry may have others below it. Its identity must be entryUUID: some servers have another one here."""
    found = found_in(dn, given)
    values = found.attributes.get("entryuuid", ()) if found is not None else ()
    if found is None or [UUID(value.decode()) for value in values] != [UUID(identity)]:
        raise DirectoryAnswerError(f"{session} tells changes by another identity than entryUUID")
    return found.attributes.get("hassubordinates") != [b"FALSE"]


def _by_dirsync(session: LdapSession, domain: str, told: Sequence[str], cookie: bytes | None) -> Changes:
    """Ask which entries of the *domain* have changed in the attributes *told* (MS-ADTS 3.1.1.3.4.1.3).

    The account needs the right Replicating Directory Changes, and must be told of deletions: the container Deleted Objects is one
    itself, so the first answer, without a cookie, must have it. Other entries may be below an entry that was renamed or moved,
    and is no account.
    """
    ldap, changed = library(), dict[str, bool]()
    id_of = SCHEMAS[DirectoryKind.ACTIVE_DIRECTORY].id_of
    attributes = ("isDeleted",) if cookie is None else told
    more, cookie, is_told = 1, cookie or b"", cookie is not None
    for _ in range(MOST_ANSWERS):
        control = ldap.controls.RequestControl(DIRSYNC, criticality=True, encodedControlValue=_dirsync_value(cookie))
        data, returned = session.ask(domain, ldap.SCOPE_SUBTREE, EVERYTHING, attributes, [control])
        for dn, given, _controls in data:
            if (found := found_in(dn, given)) is None:
                continue
            identity = id_of(found.attributes["objectguid"][0])
            is_told = is_told or "isdeleted" in found.attributes
            is_leaf = "name" not in found.attributes or bool({"samaccountname", "isdeleted"} & found.attributes.keys())
            changed[identity] = changed.get(identity, False) or not is_leaf
        more, cookie = _dirsync_end(session, returned)
        if not is_told and not more:
            raise DirectoryAnswerError(f"{session} does not tell this account of deletions")
        if not more:
            return Changes(changed, cookie)
    raise DirectoryAnswerError(f"{session} has no end of changes")


def _dirsync_value(cookie: bytes) -> bytes:
    """Encode flags, octets of an answer, and the cookie."""
    from pyasn1.codec.ber import encoder
    from pyasn1.type import univ

    value = univ.Sequence()
    for place, part in enumerate((univ.Integer(0), univ.Integer(_ANSWER_OCTETS), univ.OctetString(cookie))):
        value.setComponentByPosition(place, part)
    return bytes(encoder.encode(value))


def _dirsync_end(session: LdapSession, returned: Sequence[Any]) -> tuple[int, bytes]:
    """Return whether there is more, and the cookie."""
    from pyasn1.codec.ber import decoder
    from pyasn1.error import PyAsn1Error

    for control in returned:
        if control.controlType == DIRSYNC:
            try:
                more, _, cookie = decoder.decode(control.encodedControlValue)[0].components
                return int(more), bytes(cookie)
            except (PyAsn1Error, ValueError, TypeError, AttributeError):
                break
    raise DirectoryAnswerError(f"{session} ends its changes without a cookie")
