"""The entry of a user whom a SCIM client has written: the same as one of a directory."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from sipmesh.printable import printable
from sipmesh.server.directory.entry_reader import LONGEST_NAME, address_of, aliases_of
from sipmesh.storage.users.directory_entry import ACTIVE, DirectoryEntry, Ended

if TYPE_CHECKING:
    from scim2_models import PhoneNumber

    from sipmesh.server.directory.group_rules import GivenByGroups
    from sipmesh.server.scim.resources import User

TEL: Final = "tel:"
NOT_CALLED: Final = frozenset({"fax", "pager"})


def entry_of(user: User, given: GivenByGroups, domains: Sequence[str]) -> tuple[DirectoryEntry, Sequence[str]]:
    """Return the entry of *user*, to whom groups give *given*, and what is wrong with its numbers.

    Raises ValueError for a user who can be none here.
    """
    aor, mail = address_of(user.user_name or "", "userName", domains), _mail(user)
    numbers = [one.value.removeprefix(TEL) for one in user.phone_numbers or () if one.value and _is_called(one)]
    aliases, wrong = aliases_of(aor, mail, numbers, domains)
    ended_by = ACTIVE if user.active is not False else Ended.DISABLED
    external, name, mail = (printable(text, LONGEST_NAME) for text in (user.external_id or "", _name(user), mail))
    about = aliases, ended_by, given.pool, given.classes
    return DirectoryEntry(user.id or "", aor, external, name, mail, *about), wrong


def _is_called(number: PhoneNumber) -> bool:
    return str(getattr(number.type, "value", number.type) or "") not in NOT_CALLED


def _mail(user: User) -> str:
    """Return the mail address that is the primary one, or else the first."""
    found = sorted((one for one in user.emails or () if one.value), key=lambda one: not one.primary)
    return str(found[0].value) if found else ""


def _name(user: User) -> str:
    if user.display_name or user.name is None:
        return user.display_name or ""
    return user.name.formatted or " ".join(filter(None, (user.name.given_name, user.name.family_name)))
