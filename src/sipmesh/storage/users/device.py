"""A device of a user that has a password or a certificate of its own."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

BY_HAND: Final = "typed"
"""The kind of a device whose password a person types."""


@dataclass(frozen=True, slots=True)
class Device:
    """The device *name* of the user *aor*; *client* is the kind of its software.

    It took the *invitation* at the instant *created*, in UTC, from the IP address *address*. It has got a *certificate*, or a
    password of its own. A device without an invitation has a password that a person types (`BY_HAND`).
    """

    aor: str
    name: str
    client: str
    created: datetime
    address: str
    invitation: str
    certificate: bool = False
