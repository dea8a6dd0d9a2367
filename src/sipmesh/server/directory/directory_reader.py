"""The answer of the directory: all of its entries, or one, from the first of its servers that can be used."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sipmesh.server.directory.directory_content import given_by_groups, groups_in, whole_content
from sipmesh.server.directory.directory_login import directory_of, logged_in
from sipmesh.server.directory.entry_reader import Answer, EntryReader
from sipmesh.server.directory.group_rules import group_rules
from sipmesh.server.directory.ldap_session import DirectoryAnswerError, escaped
from sipmesh.server.directory.schema import SCHEMAS

if TYPE_CHECKING:
    from datetime import datetime

    from sipmesh.server.directory.directory_content import Content
    from sipmesh.server.directory.ldap_session import LdapSession
    from sipmesh.topology.document.load import Loaded


def most_loss_of(loaded: Loaded) -> int:
    """Return the percent of users who may lose access in a day; raises `OperatorError` if users come from nowhere else."""
    scim = loaded.topology.scim
    return scim.most_loss if scim is not None else directory_of(loaded).most_loss


def read_directory(loaded: Loaded, at: datetime) -> tuple[Answer, str]:
    """Return the whole answer at the instant *at*, and the server that has given it.

    Raises `OperatorError` if no server can be used, or if the answer is not whole.
    """
    directory = directory_of(loaded)
    with logged_in(loaded, directory) as (session, server):
        return answer_of(
            loaded, session, server, whole_content(session, directory, group_rules(loaded.topology)), at
        ), server


def answer_of(loaded: Loaded, session: LdapSession, server: str, content: Content, at: datetime) -> Answer:
    """Read the *content* of *server* as users; raises `OperatorError` if there is no entry, or a group of a rule is missing."""
    directory = directory_of(loaded)
    if not content.people:
        raise DirectoryAnswerError(f"{server} has no entry that fits {directory.filter} below {directory.base}")
    given = given_by_groups(session, group_rules(loaded.topology), content.groups.values())
    return EntryReader(loaded.topology, directory, given, at).answer([*content.people.values()])


def read_entry(loaded: Loaded, user: str, at: datetime, identity: str = "") -> tuple[Answer, str]:
    """Return the entries whose name is *user*, or the part of it before the @, and the one with *identity*.

    A name is always one value in the filter.
    """
    directory = directory_of(loaded)
    with logged_in(loaded, directory) as (session, server):
        names = dict.fromkeys((user, user.partition("@")[0]))
        values = [f"({directory.user_attribute}={escaped(name.encode())})" for name in names]
        if identity:
            schema = SCHEMAS[directory.kind]
            values.append(f"({schema.identity}={escaped(schema.value_of(identity))})")
        wanted = f"(&{directory.filter}(|{''.join(values)}))"
        rules = group_rules(loaded.topology)
        given = given_by_groups(session, rules, groups_in(session, directory, rules).values())
        found = list(session.search(directory.base, wanted, EntryReader.attributes(directory)))
        return EntryReader(loaded.topology, directory, given, at).answer(found), server
