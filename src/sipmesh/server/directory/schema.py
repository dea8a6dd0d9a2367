"""The attributes by which each kind of directory says who an entry is, and whether it gives access."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final
from uuid import UUID

from sipmesh.sip.text import ascii_lower
from sipmesh.storage.users.directory_entry import ACTIVE, Ended
from sipmesh.topology.document.parts.directory import DirectoryKind

if TYPE_CHECKING:
    from collections.abc import Callable

Attributes = Mapping[str, Sequence[bytes]]

_ACCOUNT_DISABLED: Final = 0x2
_NEVER: Final = frozenset({0, 0x7FFF_FFFF_FFFF_FFFF})
_WINDOWS_BEGINS: Final = datetime(1601, 1, 1, tzinfo=UTC)
_UNIX_BEGINS: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class DirectorySchema:
    """One kind: *identity* is the attribute that never changes, *access* those that `ended_by` reads.

    *id_of* returns the identity in a value; it raises ValueError if there is none. *value_of* is its inverse. *ended_by* says why
    an entry gives no access at an instant, "" if it gives access; it raises ValueError for a value that cannot be read.
    """

    identity: str
    access: tuple[str, ...]
    id_of: Callable[[bytes], str]
    value_of: Callable[[str], bytes]
    ended_by: Callable[[Attributes, datetime], str]


def first(attributes: Attributes, name: str) -> str:
    """Return the first value of an attribute as text, "" without one; raises ValueError for what is no UTF-8."""
    values = attributes.get(ascii_lower(name), ())
    return values[0].decode() if values else ""


def _must_have(attributes: Attributes, name: str) -> str:
    """Return a value that each account has; raises ValueError where it is hidden: a disabled account would seem enabled."""
    if not (value := first(attributes, name)):
        raise ValueError(f"its {name} is hidden, which says whether the account counts: let `bind` read it")
    return value


def _active_directory(attributes: Attributes, at: datetime) -> str:
    """MS-ADTS 2.2.16 and 3.1.1.8.1: a bit of userAccountControl, and accountExpires in 100 ns since 1601."""
    if int(_must_have(attributes, "userAccountControl")) & _ACCOUNT_DISABLED:
        return Ended.DISABLED
    ticks = int(_must_have(attributes, "accountExpires"))
    try:
        has_expired = ticks not in _NEVER and _WINDOWS_BEGINS + timedelta(microseconds=ticks // 10) <= at
    except OverflowError:  # beyond the year 9999
        return ACTIVE
    return Ended.EXPIRED if has_expired else ACTIVE


def _openldap(attributes: Attributes, at: datetime) -> str:
    """Password policy, Linux accounts, and the flags of 389 Directory Server and of others who have none of both."""
    if attributes.get("pwdaccountlockedtime"):
        return Ended.DISABLED
    if any(ascii_lower(first(attributes, name)) == "true" for name in ("nsAccountLock", "loginDisabled")):
        return Ended.DISABLED
    days = int(first(attributes, "shadowExpire") or "-1")
    try:
        has_expired = days >= 0 and _UNIX_BEGINS + timedelta(days=days) <= at
    except OverflowError:
        return ACTIVE
    return Ended.EXPIRED if has_expired else ACTIVE


SCHEMAS: Final[Mapping[DirectoryKind, DirectorySchema]] = {
    DirectoryKind.ACTIVE_DIRECTORY: DirectorySchema(
        "objectGUID",
        ("userAccountControl", "accountExpires"),
        lambda value: str(UUID(bytes_le=value)),
        lambda identity: UUID(identity).bytes_le,
        _active_directory,
    ),
    DirectoryKind.OPENLDAP: DirectorySchema(
        "entryUUID",
        ("pwdAccountLockedTime", "nsAccountLock", "loginDisabled", "shadowExpire"),
        lambda value: str(UUID(value.decode())),
        str.encode,
        _openldap,
    ),
}
