"""What the commands about devices of users print as JSON."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from sipmesh.server.admin.replies import LoginReply
    from sipmesh.storage.users.device import Device


@dataclass(frozen=True, slots=True)
class NewDevicePassword:
    """The *password* of a new *device*, which is shown once; *login* is its digest user name."""

    user: str
    device: str
    login: str
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class DeviceLine:
    """A device of a user (`Device`), with its last login at a server of this machine: when, from where, by what software."""

    aor: str
    name: str
    client: str
    created: datetime
    address: str
    invitation: str
    certificate: bool
    last_login: datetime | None = None
    last_remote: str = ""
    last_agent: str = ""

    @classmethod
    def of(cls, device: Device, login: LoginReply | None) -> Self:
        """Show a device; without *login*, none is known."""
        seen = (login.at, login.remote, login.user_agent) if login is not None else (None, "", "")
        return cls(**asdict(device), last_login=seen[0], last_remote=seen[1], last_agent=seen[2])
