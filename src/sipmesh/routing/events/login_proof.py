"""By which login a phone has subscribed to the profile of its user: the server of its link tells the notifier in the same pool.

The notifier signs tickets (`sipmesh.server.contacts.account_ticket`), which end with that login and name its device.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from sipmesh.sip.message import Request

FIELD: Final = "login-proof"
"""The header field of a SUBSCRIBE. Only servers of the own pool are believed; that of any other sender is removed."""

_PARTS: Final = 5


@dataclass(frozen=True, slots=True)
class LoginProof:
    """A login with the password of *generation*, or with the certificate of a *device*, or with an access token.

    *issued_at* is when the token was issued, in epoch seconds, 0 without one; *session* is the hash of its ``sid``, or "".
    *link* is that of the phone, which no other link of the pool has: a log-out ends its tickets, and no others.
    """

    generation: int
    device: str = ""
    issued_at: float = 0
    session: str = ""
    link: str = ""

    def written(self) -> str:
        """Return the value of the field."""
        return f"{self.generation};{self.device};{self.issued_at};{self.session};{self.link}"


def proof_in(request: Request) -> LoginProof | None:
    """Return the proof in a request that a server of the own pool has prepared, None without one."""
    parts = (request.first(FIELD) or "").split(";")
    if len(parts) != _PARTS:
        return None
    try:
        return LoginProof(int(parts[0]), parts[1], float(parts[2]), parts[3], parts[4])
    except ValueError:
        return None
