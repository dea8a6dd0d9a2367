"""A later process of this server, which has taken our place in the store: whether it is still there.

Its entry alone proves nothing: a process that was killed leaves one, and so can an attacker who can write to the store.
A process that runs renews its lease.
"""

from __future__ import annotations

from typing import Final

from sipmesh.storage.location_service.lease_watch import RENEW_EVERY_S

GONE_S: Final = 4 * RENEW_EVERY_S
"""How long a lease may stay the same before its process counts as gone."""

REPLACED: Final = "REPLACED "
"""How the store begins its refusal; the incarnation of the later process and its renewals follow."""


class LaterProcess:
    """The lease of the later process as it was seen last; times are seconds of the loop."""

    __slots__ = ("_lease", "_since")

    def __init__(self) -> None:
        self._lease, self._since = "", 0.0

    def seen(self, refusal: str, now: float) -> bool:
        """Take note of a refusal of the store; False if it has another reason."""
        if not refusal.startswith(REPLACED):
            return False
        lease = refusal[len(REPLACED) :]
        if lease != self._lease:
            self._lease, self._since = lease, now
        return True

    def ended(self, now: float) -> str:
        """Give the lease of a later process that is gone; "" if there is none, or if it may still run."""
        return self._lease if self._lease and now - self._since >= GONE_S else ""
