"""Reads the entries that may be users, and the groups, from the directory: all of them, or those that have changed."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from sipmesh.server.directory.entry_reader import EntryReader, identity_of
from sipmesh.server.directory.group_rules import GivenByGroups, GroupRules
from sipmesh.server.directory.ldap_session import DirectoryAnswerError, Found, escaped
from sipmesh.server.directory.memberships import members_of
from sipmesh.server.directory.schema import SCHEMAS
from sipmesh.sip.text import is_digits

if TYPE_CHECKING:
    from sipmesh.server.directory.ldap_session import LdapSession
    from sipmesh.topology.document.parts.directory import Directory

MOST_GROUPS: Final = 50_000
AT_ONCE: Final = 100
"""Identities in one filter."""

GROUPS: Final = (
    "(|(objectClass=group)(objectClass=groupOfNames)(objectClass=groupOfUniqueNames)(objectClass=groupOfMembers))"
)
_MEMBER: Final = ("member", "uniquemember")


@dataclass(frozen=True, slots=True)
class Group:
    """A group by normal DN, and the normal DNs of its direct members."""

    dn: str
    members: frozenset[str]


@dataclass(frozen=True, slots=True)
class Content:
    """The *people* and *groups* of the directory at one instant, by identity. Without rules for groups, no groups are read."""

    people: Mapping[str, Found]
    groups: Mapping[str, Group]


def whole_content(session: LdapSession, directory: Directory, rules: GroupRules) -> Content:
    """Read everything; raises `DirectoryAnswerError` without a whole answer, and if there is no entry at all."""
    groups = groups_in(session, directory, rules)
    people = {
        identity_of(directory, one): one
        for one in session.search(directory.base, directory.filter, EntryReader.attributes(directory))
    }
    return Content(people, groups)


def changed_content(session: LdapSession, directory: Directory, rules: GroupRules, ids: Sequence[str]) -> Content:
    """Read those of the entries *ids* that are people or groups now."""
    people, groups = dict[str, Found](), dict[str, Group]()
    schema = SCHEMAS[directory.kind]
    for first in range(0, len(ids), AT_ONCE):
        values = (f"({schema.identity}={escaped(schema.value_of(one))})" for one in ids[first : first + AT_ONCE])
        wanted = f"(|{''.join(values)})"
        people.update(
            (identity_of(directory, one), one)
            for one in session.search(
                directory.base, f"(&{directory.filter}{wanted})", EntryReader.attributes(directory)
            )
        )
        groups.update(groups_in(session, directory, rules, f"(&{GROUPS}{wanted})"))
    return Content(people, groups)


def groups_in(
    session: LdapSession, directory: Directory, rules: GroupRules, search_filter: str = GROUPS
) -> Mapping[str, Group]:
    """Read the groups, if one of *rules* names one."""
    found: dict[str, Group] = {}
    attributes = (SCHEMAS[directory.kind].identity, *_MEMBER)
    for group in (
        session.search(directory.group_base or directory.base, search_filter, attributes) if rules.groups else ()
    ):
        if len(found) >= MOST_GROUPS:
            raise DirectoryAnswerError(f"the directory has more than {MOST_GROUPS:,} groups; narrow `group_base`")
        values = {session.normal_dn(value.decode(errors="replace")) for value in _values(session, group)}
        found[identity_of(directory, group)] = Group(session.normal_dn(group.dn), frozenset(values - {""}))
    return found


def given_by_groups(
    session: LdapSession, rules: GroupRules, groups: Collection[Group]
) -> Callable[[str], GivenByGroups]:
    """Return the function that gives what the *groups* of an entry give it, by the DN of the entry."""
    if not rules.groups:
        return lambda _dn: GivenByGroups()
    members = {group.dn: group.members for group in groups}
    within = {group: members_of(session.normal_dn(group), members) for group in rules.groups}

    def given(dn: str) -> GivenByGroups:
        normal = session.normal_dn(dn)
        return rules.given(lambda group: normal in within[group])

    return given


def _values(session: LdapSession, group: Found) -> Iterator[bytes]:
    """Yield all members; Active Directory gives many of them by ranges (MS-ADTS 3.1.1.3.1.3.3)."""
    attributes = group.attributes
    while True:
        yield from (value for name in _MEMBER for value in attributes.get(name, ()))
        ranged = next((name for name in attributes if name.startswith("member;range=")), "")
        if not ranged:
            return
        yield from attributes[ranged]
        last = ranged.rpartition("-")[2]
        if not is_digits(last):  # "*": these were the last values
            return
        attributes = session.read(group.dn, f"member;range={int(last) + 1}-*")
