"""What principals use at this process, reported to the other processes of the server: each counts all of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sipmesh.server.proxy.flow import Flow
from sipmesh.server.proxy.siblings.channel import ADDRESSED, LOGIN, UP, USAGE, packed
from sipmesh.server.proxy.siblings.remote_link import NOT_HERE
from sipmesh.server.proxy.siblings.siblings import announced
from sipmesh.server.quotas.usage import Usage, UsageObserver

if TYPE_CHECKING:
    from sipmesh.server.proxy.siblings.siblings import Siblings
    from sipmesh.server.quotas.usage import CountedLink


class SharedUsage(UsageObserver):
    """Tells *siblings*; *steps* is how many steps a limit has among so many processes."""

    def __init__(self, siblings: Siblings, steps: int) -> None:
        self._siblings, self.steps = siblings, steps

    def logged_in(self, flow: CountedLink, user: str) -> None:
        """Announce a login on a link of ours, and a carried flow with its first login."""
        if not isinstance(flow, Flow):
            return
        if flow.carrier is not None and flow.logged_in == {user}:
            self._siblings.tell_all(UP, flow.number, announced(flow.link, flow))
        self._siblings.tell_all(LOGIN, flow.number, packed(user, flow.generations.get(user, NOT_HERE)))

    def changed(self, account: Usage) -> None:
        """Announce what a principal uses here."""
        self._siblings.tell_all(USAGE, 0, told(account))

    def addressed(self, partner: str, finder: int, user: int) -> None:
        """Announce one user more whom a partner has addressed here."""
        self._siblings.tell_all(ADDRESSED, 0, packed(partner, finder, user))


def told(account: Usage) -> bytes:
    """Return what other processes get about an account."""
    return packed(account.kind, account.name, account.branches_told, account.octets_told)
