"""The profile of a user, as its phones subscribe to it (RFC 6080): what they need beside SIP."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from sipmesh.routing.call_rules.call_rules import NO_RULES
from sipmesh.topology.document.parts.oauth import PORTAL
from sipmesh.topology.portal_ways import ways_of

if TYPE_CHECKING:
    from sipmesh.server.in_force.in_force import Current
    from sipmesh.server.proxy.events.turn_credentials import TurnCredentials
    from sipmesh.topology.view import ServerView


class UserProfile:
    """Makes profiles: the servers of *turn*, the users for whom a user may call, the rules of its calls, and the portal."""

    def __init__(self, current: Current, turn: TurnCredentials) -> None:
        self._current, self._turn = current, turn

    def __repr__(self) -> str:
        return f"<UserProfile with {self._turn!r}>"

    def document(self, aor: str) -> bytes:
        """Return a JSON object for *aor*, ``sip:user@domain``."""
        homes, view = self._current.value.homes, self._current.value.view
        calls_for = [boss.partition(":")[2] for boss in homes.bosses(aor)]
        rules = (homes.call_rules(aor) or NO_RULES).as_json()
        own = {"callsFor": calls_for, "callRules": rules, "portal": portal_of(view)}
        return json.dumps({**self._turn.servers(aor), **own}).encode()


def portal_of(view: ServerView) -> str:
    """Return the URL of the portal, where users change their rules; "" without one."""
    hosts = view.invitation_hosts
    return f"https://{hosts[0]}{PORTAL}" if hosts and ways_of(view.loaded.topology) else ""
