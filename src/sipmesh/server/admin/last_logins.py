"""When each device of a user has logged in last, as the servers of this machine know it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from sipmesh.server.admin.replies import LoginReply, UserReply


def last_logins(servers: Iterable[UserReply]) -> Mapping[str, LoginReply]:
    """Return the last login of each device that *servers* remember, by the name of the device."""
    found: dict[str, LoginReply] = {}
    for login in (one for server in servers for one in server.logins if one.device):
        known = found.get(login.device)
        if known is None or known.at < login.at:
            found[login.device] = login
    return found
