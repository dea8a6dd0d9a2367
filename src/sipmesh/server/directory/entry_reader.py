"""An entry of the directory as a user here, or the reason why it cannot be one.

The author of an entry decides about this user alone, within the SIP domains of the topology.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from sipmesh.errors import OperatorError
from sipmesh.printable import printable
from sipmesh.routing.identity.alias import read_alias
from sipmesh.server.directory.schema import SCHEMAS, Attributes, first
from sipmesh.sip.text import LWS, ascii_lower
from sipmesh.storage.users.directory_entry import ACTIVE, DirectoryEntry

if TYPE_CHECKING:
    from datetime import datetime

    from sipmesh.server.directory.group_rules import GivenByGroups
    from sipmesh.server.directory.ldap_session import Found
    from sipmesh.topology.document.model import Topology
    from sipmesh.topology.document.parts.directory import Directory

LONGEST_NAME: Final = 128
MOST_ALIASES: Final = 16
"""Aliases that one entry may give: operators need some of those that a user may have."""

_USER: Final = re.compile(r"[a-z0-9_][a-z0-9._~-]{0,63}")
"""A user whose name needs no quotes anywhere. A plus would be the name of a device of another user."""


@dataclass(frozen=True, slots=True)
class Unusable:
    """An entry that can be no user, and the *reason*; *ended_by* as of `DirectoryEntry`."""

    dn: str
    reason: str
    ended_by: str = ACTIVE


@dataclass(frozen=True, slots=True)
class Answer:
    """All entries of the directory at one instant: those that are users, and by id those that can be none.

    *faults* are what is wrong with entries that are users, each with the user.
    """

    entries: Sequence[DirectoryEntry]
    unusable: Mapping[str, Unusable] = field(default_factory=dict)
    faults: Sequence[tuple[str, str]] = ()


class EntryReader:
    """Reads entries for *topology*, which has *directory*, at the instant *at*.

    *given_by_groups* tells what groups give the entry with a DN.
    """

    def __init__(
        self, topology: Topology, directory: Directory, given_by_groups: Callable[[str], GivenByGroups], at: datetime
    ) -> None:
        self._domains, self._directory, self._at = topology.sip_domains, directory, at
        self._given_by_groups = given_by_groups
        self._schema = SCHEMAS[directory.kind]

    @staticmethod
    def attributes(directory: Directory) -> Sequence[str]:
        """Return the attributes to ask for: no other one is read."""
        schema = SCHEMAS[directory.kind]
        named = (directory.user_attribute, directory.name, directory.mail, directory.numbers)
        return list(dict.fromkeys((schema.identity, *schema.access, *named)))

    def answer(self, found: Sequence[Found]) -> Answer:
        """Read all entries; raises `OperatorError` for one without an identity: who is missing cannot be told then."""
        entries, unusable, faults = [], dict[str, Unusable](), list[tuple[str, str]]()
        for one in found:
            identity, ended_by = identity_of(self._directory, one), ACTIVE
            try:
                ended_by = self._schema.ended_by(one.attributes, self._at)
                entries.append(self._entry(identity, ended_by, one, faults))
            except (OperatorError, ValueError) as wrong:
                dn = printable(one.dn, 4 * LONGEST_NAME)
                unusable[identity] = Unusable(dn, printable(str(wrong)), ended_by)
        return Answer(entries, unusable, faults)

    def _entry(self, identity: str, ended_by: str, found: Found, faults: list[tuple[str, str]]) -> DirectoryEntry:
        given, asked = found.attributes, self._directory
        aor = address_of(first(given, asked.user_attribute), asked.user_attribute, self._domains)
        mail = _text(given, asked.mail)
        numbers = [value.decode(errors="replace") for value in given.get(ascii_lower(asked.numbers), ())]
        aliases, wrong = aliases_of(aor, mail, numbers, self._domains)
        faults += [(aor.removeprefix("sip:"), reason) for reason in wrong]
        groups = self._given_by_groups(found.dn)
        dn, name = printable(found.dn, 4 * LONGEST_NAME), _text(given, asked.name)
        return DirectoryEntry(identity, aor, dn, name, mail, aliases, ended_by, groups.pool, groups.classes)


def address_of(login: str, attribute: str, domains: Sequence[str]) -> str:
    """Return the address of a user; a name with a domain keeps it, which must be one of ours. Raises ValueError."""
    user, at, domain = ascii_lower(login.strip(LWS)).partition("@")
    domain = domain if at else domains[0]
    if not _USER.fullmatch(user):
        raise ValueError(f"{login!r} in {attribute} can be no user name: use a-z, 0-9 and . _ ~ -")
    if domain not in domains:
        raise ValueError(f"{login!r} in {attribute} is in no SIP domain of the topology")
    return f"sip:{user}@{domain}"


def aliases_of(
    aor: str, mail: str, numbers: Sequence[str], domains: Sequence[str]
) -> tuple[tuple[str, ...], list[str]]:
    """Return the keys of the aliases, and what is wrong with other values."""
    domain, found, wrong = aor.rpartition("@")[2], dict[str, None](), list[str]()
    texts = [*numbers, *([mail] if ascii_lower(mail.rpartition("@")[2]) in domains else [])]
    for text in texts:
        try:
            found[_alias(text, domain)] = None
        except (OperatorError, ValueError) as why:
            wrong.append(printable(str(why)))
    found.pop(aor, None)
    if len(found) > MOST_ALIASES:
        wrong.append(f"has {len(found)} numbers and addresses, and the first {MOST_ALIASES} count")
    return tuple(found)[:MOST_ALIASES], wrong


def identity_of(directory: Directory, found: Found) -> str:
    """Return the identity of an entry; raises `OperatorError` without one: who is missing cannot be told then."""
    schema = SCHEMAS[directory.kind]
    try:
        return schema.id_of(found.attributes.get(ascii_lower(schema.identity), ())[0])
    except (IndexError, ValueError):
        reason = f"{printable(found.dn, LONGEST_NAME)} has no {schema.identity} that can be read"
        raise OperatorError(f"{reason}; correct `directory.kind`, or let `bind` read this attribute") from None


def _alias(text: str, domain: str) -> str:
    """Read an alias: a number or a mail address."""
    user, at, _ = ascii_lower(text).partition("@")
    if at and not _USER.fullmatch(user):
        raise ValueError(f"{text!r} can be no alias: use a-z, 0-9 and . _ ~ - before the @")
    if not at and not re.fullmatch(r"[+0-9*#. ()/-]{1,40}", text):
        raise ValueError(f"{text!r} is no telephone number; write it as +49 30 12345")
    return read_alias(text if at else text.replace("/", "-"), domain)


def _text(given: Attributes, name: str) -> str:
    """Return a text for people, without control characters: invalid octets are shown as such."""
    values = given.get(ascii_lower(name), ())
    return printable(values[0].decode(errors="replace"), LONGEST_NAME) if values else ""
