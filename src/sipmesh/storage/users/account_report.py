"""One user as the commands print it, and as the console and the API show it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from sipmesh.storage.users.user import User


@dataclass(frozen=True, slots=True)
class AccountReport:
    """One user: *pool* is the home pool, *digest* the algorithms, strongest first.

    *aliases* are further names of the user. *disabled* is since when the user cannot
    log in, None for others. *is_group*: it is a group, which has members in place of devices.
    """

    user: str
    pool: str
    digest: tuple[str, ...]
    created: datetime
    aliases: tuple[str, ...]
    disabled: datetime | None = None
    is_group: bool = False

    @classmethod
    def of(cls, user: User, default: str) -> Self:
        """Report one user; *default* is the home pool of users without one."""
        digest, aliases = tuple(map(str, user.algorithms)), tuple(map(shown_name, user.aliases))
        return cls(
            plain_address(user), user.pool or default, digest, user.created, aliases, user.disabled, user.calls.is_group
        )


def shown_name(key: str) -> str:
    """Return a name of a user as operators write it: a number as a tel URI, another name without its scheme."""
    return key.removeprefix("sip:")


def plain_address(user: User) -> str:
    """Return the address of a user without its scheme."""
    return user.aor.removeprefix("sip:")
