"""Rules of a user about watchers: who may see its presence (RFC 3856 section 6.6, RFC 5025 in small).

A rule is for one address, for all users of a domain, or for all watchers. The nearest rule counts. Without a rule, the
default of the topology counts.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from sipmesh.routing.registrar.address_of_record import read_address
from sipmesh.sip.message import Request
from sipmesh.sip.text import LWS, ascii_lower
from sipmesh.sip.uri import normal_escapes
from sipmesh.topology.document.watching import Watching

EVERYBODY: Final = "*"
"""The watcher of the rule that counts for all for whom there is no other."""

MOST_RULES: Final = 200
"""Rules of one user: every server of the user's pool has them in memory."""

WITH_RULES_OF_THEIR_OWN: Final = frozenset({"ACK", "CANCEL", "INVITE", "MESSAGE", "NOTIFY", "REFER"})
"""Methods that no rule about watchers refuses: the user sees a call or a message, and the others are refused elsewhere."""

WatcherRules = Mapping[str, Watching]
"""Rules by watcher: ``sip:carol@partner.test`` in lower case, ``@partner.test`` or ``*``."""

NO_RULES: Final[WatcherRules] = {}


def read_watcher(text: str, domain: str) -> str:
    """Parse a watcher that an operator has typed; *domain* is that of a name without one. Raises `OperatorError`."""
    text = text.strip(LWS)
    if text == EVERYBODY:
        return EVERYBODY
    if text.startswith("@"):
        return f"@{read_address(f'all{text}').host}"
    return watcher_key(read_address(text if "@" in text else f"{text}@{domain}").aor)


def watcher_key(aor: str) -> str:
    """Give the spelling in which an address of record is compared: a partner may not spell it otherwise to avoid a rule."""
    user, _, host = aor.removeprefix("sip:").rpartition("@")
    return f"sip:{ascii_lower(normal_escapes(user))}@{ascii_lower(host)}"


def is_unseen(request: Request) -> bool:
    """Tell whether a phone answers a request without a sign to its user: an OPTIONS, or a SUBSCRIBE to any package.

    Outside a dialog, the answer tells whether the user is there, as presence does.
    """
    return request.to.tag is None and request.method not in WITH_RULES_OF_THEIR_OWN


def rule_for(rules: WatcherRules, watcher: str) -> Watching | None:
    """Give the rule for the address of record *watcher*; None if there is none."""
    if not rules:
        return None
    domain = ascii_lower(watcher.rpartition("@")[2])
    for key in (watcher_key(watcher), f"@{domain}", EVERYBODY):
        rule = rules.get(key)
        if rule is not None:
            return rule
    return None
