"""One user of the organisation, as commands and the console show it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from sipmesh.routing.call_rules.call_rules import NO_RULES as NO_CALL_RULES
from sipmesh.routing.call_rules.call_rules import CallRules
from sipmesh.routing.events.watcher_rules import WatcherRules
from sipmesh.sip.digest import Algorithm


@dataclass(frozen=True, slots=True)
class User:
    """One user without hashes; *pool* is the home pool, None for the topology's first front-end pool; *created* is UTC.

    *aliases* are the keys of the user's aliases (`sipmesh.routing.identity.alias`), *watchers* the rules about who may see the
    user's presence (`sipmesh.routing.events.watcher_rules`). *disabled* is the instant from which the user cannot log in, or
    None. *calls* are the rules of the user's calls.
    """

    aor: str
    algorithms: tuple[Algorithm, ...]
    generation: int
    created: datetime
    pool: str | None = None
    aliases: tuple[str, ...] = ()
    watchers: WatcherRules = field(default_factory=dict)
    disabled: datetime | None = None
    calls: CallRules = NO_CALL_RULES
