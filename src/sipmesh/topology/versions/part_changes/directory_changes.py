"""Words for the changes of the directory from which users come."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Final

from sipmesh.topology.versions.part_changes.field_changes import Words, from_to, list_fields, list_names
from sipmesh.trust.formatting import tell_list

if TYPE_CHECKING:
    from sipmesh.topology.document.parts.directory import Directory
    from sipmesh.topology.document.parts.scim import Scim

_WORDS: Final[Mapping[str, Words | None]] = {
    "kind": from_to("the kind of the directory"),
    "servers": from_to("the list of servers of the directory"),
    "tls": from_to("how TLS to the directory begins"),
    "anchors": from_to("the list of anchors of the directory", "those of the enterprise CA"),
    "crls": from_to("the list of CRLs of the directory", "none"),
    "bind": from_to("the name as which management logs in to the directory"),
    "password_file": from_to("the file with the password for the directory", "none"),
    "principal": from_to("the Kerberos account as which management logs in to the directory", "none"),
    "keytab": from_to("the keytab for the directory", "none"),
    "tickets": from_to("the credential cache for the directory", "none"),
    "base": from_to("the base of the users in the directory"),
    "filter": from_to("the filter of the users in the directory"),
    "user": from_to("the attribute with the name of a user", "the default"),
    "name": from_to("the attribute with the name that people read"),
    "mail": from_to("the attribute with the mail address"),
    "numbers": from_to("the attribute with the telephone numbers"),
    "group_base": from_to("the base of the groups in the directory", "the base of the users"),
    "pools": from_to("the list of groups that decide the home pool", "none"),
    "most_loss": from_to("the percent of users who may lose access in a day"),
}

_SCIM: Final[Mapping[str, Words | None]] = {
    "tokens": None,
    "pools": _WORDS["pools"],
    "most_loss": _WORDS["most_loss"],
}


def directory_changes(old: Directory | None, new: Directory | None) -> Iterator[str]:
    """Describe the directory, and what is read from it."""
    if old is not None and new is not None:
        yield from list_fields("", old, new, _WORDS)
    elif new is not None:
        yield f"users come from the directory {tell_list([*map(str, new.servers)])}, below {new.base}"
    elif old is not None:
        yield f"users do not come from the directory {tell_list([*map(str, old.servers)])} any more, and stay as they are"


def scim_changes(old: Scim | None, new: Scim | None) -> Iterator[str]:
    """Describe the SCIM clients, and what the groups decide that they write."""
    before, after = ({one.name: one.token_sha256 for one in part.tokens} if part else {} for part in (old, new))
    yield from list_names(
        list(before),
        list(after),
        lambda name: f"the SCIM client {name} may write the users",
        lambda name: f"the SCIM client {name} may not write the users any more",
        "SCIM clients",
    )
    common = sorted(before.keys() & after.keys())
    yield from (f"the SCIM client {name} gets another token" for name in common if before[name] != after[name])
    if old is not None and new is not None:
        yield from list_fields("", old, new, _SCIM)
    elif new is not None:
        yield "users come from SCIM clients"
    elif old is not None:
        yield "users do not come from SCIM clients any more, and stay as they are"
