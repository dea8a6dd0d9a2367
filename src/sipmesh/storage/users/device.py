"""A device of a user that has a password of its own."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Device:
    """The device *name* of the user *aor*; *client* is the kind of its software.

    It took the *invitation* at the instant *created*, in UTC, from the IP address *address*.
    """

    aor: str
    name: str
    client: str
    created: datetime
    address: str
    invitation: str
