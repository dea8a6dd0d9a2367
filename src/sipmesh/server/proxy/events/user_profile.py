"""The profile of a user, as its phones subscribe to it (RFC 6080): what they need beside SIP."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from sipmesh.routing.call_rules.call_rules import NO_RULES
from sipmesh.server.contacts.account_ticket import write_ticket
from sipmesh.topology.document.history_days import history_days
from sipmesh.topology.document.parts.files import FILES, MEGABYTE
from sipmesh.topology.document.parts.invitations import CONTACTS, RULES
from sipmesh.topology.document.parts.oauth import PORTAL
from sipmesh.topology.portal_ways import ways_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from sipmesh.routing.events.login_proof import LoginProof
    from sipmesh.server.in_force.in_force import Current
    from sipmesh.server.proxy.events.turn_credentials import TurnCredentials
    from sipmesh.topology.view import ServerView


class UserProfile:
    """Makes profiles: servers of *turn*, users for whom a user may call, rules of its calls, the portal, and its account.

    *clock* returns epoch seconds.
    """

    def __init__(self, current: Current, turn: TurnCredentials, clock: Callable[[], float]) -> None:
        self._current, self._turn, self._clock = current, turn, clock

    def document(self, aor: str, login: LoginProof | None) -> bytes:
        """Return a JSON object for *aor*, ``sip:user@domain``, who has subscribed by *login*."""
        homes, view = self._current.value.homes, self._current.value.view
        calls_for = [boss.partition(":")[2] for boss in homes.bosses(aor)]
        rules = (homes.call_rules(aor) or NO_RULES).as_json()
        own: dict[str, object] = {"callsFor": calls_for, "callRules": rules, "portal": portal_of(view)}
        own |= {"account": self._account(aor, login), "historyDays": history_days(view.loaded.topology, view.pool.name)}
        return json.dumps({**self._turn.servers(aor), **own}).encode()

    def _account(self, aor: str, login: LoginProof | None) -> dict[str, object]:
        """Return where *aor* changes contacts and rules and sends files, and the ticket; nothing without pages at management."""
        view, user = self._current.value.view, self._current.value.homes.verifier(aor)
        if user is None or login is None or not view.invitation_hosts:
            return {}
        ticket = write_ticket(view, user, login, self._clock())
        host = f"https://{view.invitation_hosts[0]}"
        if not ticket:
            return {}
        files = view.loaded.topology.files
        sends = {"files": f"{host}{FILES}", "largest": files.largest_mb * MEGABYTE} if files is not None else {}
        return {"contacts": f"{host}{CONTACTS}", "rules": f"{host}{RULES}", "ticket": ticket, **sends}


def portal_of(view: ServerView) -> str:
    """Return the URL of the portal, where users change their rules; "" without one."""
    hosts = view.invitation_hosts
    return f"https://{hosts[0]}{PORTAL}" if hosts and ways_of(view.loaded.topology) else ""
