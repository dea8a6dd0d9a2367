"""Credentials with an end for the TURN servers of the organisation (RFC 8656), which relay the media of users behind a NAT.

The TURN servers and the front ends share a secret. The user name has the instant at which it ends, and the password is its HMAC
under the secret: so a TURN server needs no users, and a front end tells it nothing (the TURN REST API, as coturn has it).
"""

from __future__ import annotations

import hmac
from base64 import b64encode
from typing import TYPE_CHECKING, Final

from sipmesh.errors import OperatorError
from sipmesh.storage.keyfile import read_password

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sipmesh.server.in_force.in_force import Current
    from sipmesh.server.quotas.limited_log import LimitedLog
    from sipmesh.topology.document.parts.services import Turn

NEEDS_NO_LOGIN: Final = ("stun:", "stuns:")


class TurnCredentials:
    """Makes the part of a user's profile about media: the servers, a user name and a password.

    *wall_clock* returns seconds since 1970 (UTC), as TURN servers compare them.
    """

    def __init__(self, current: Current, wall_clock: Callable[[], float], log: LimitedLog) -> None:
        self._current, self._wall_clock, self._log = current, wall_clock, log

    @property
    def _turn(self) -> Turn | None:
        return self._current.value.view.loaded.topology.turn

    def servers(self, aor: str) -> dict[str, object]:
        """Return what the profile of *aor*, ``sip:user@domain``, has: `iceServers` as a browser takes it, and `ttl` in seconds.

        The secret is read each time, so that a new one counts at once. Without a secret that can be read, the servers are
        those that need no login.
        """
        turn = self._turn
        if turn is None:
            return _document([], 0)
        free = [url for url in turn.servers if url.startswith(NEEDS_NO_LOGIN)]
        entries: list[dict[str, object]] = [{"urls": free}] if free else []
        closed = [url for url in turn.servers if url not in free]
        secret = self._secret(turn.secret_file) if closed else b""
        if secret:
            name = f"{int(self._wall_clock()) + turn.lifetime_s}:{aor.partition(':')[2]}"
            entries.append({"urls": closed, "username": name, "credential": password(secret, name)})
        return _document(entries, turn.lifetime_s)

    def _secret(self, file: str) -> bytes:
        """Return the secret, without blanks and newlines around it; empty if it cannot be read."""
        folder = self._current.value.view.loaded.folder
        try:
            return read_password(folder / file, folder).encode()
        except OperatorError as wrong:
            self._log.error("turn", "no secret for TURN", why=str(wrong))
            return b""


def password(secret: bytes, name: str) -> str:
    """Return the password of a user name: HMAC-SHA-1 in base64, which all TURN servers with a shared secret compute."""
    return b64encode(hmac.digest(secret, name.encode(), "sha1")).decode()


def _document(servers: Sequence[dict[str, object]], ttl_s: int) -> dict[str, object]:
    return {"iceServers": servers, "ttl": ttl_s}
