"""The rules of calls of the topology, which count for what a user has no rule about."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from sipmesh.routing.call_rules.call_rules import NEVER, NO_RULES, CallerRule, CallRules
from sipmesh.sip.tel import TEL
from sipmesh.trust.role import Role

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sipmesh.topology.document.model import Topology
    from sipmesh.topology.document.parts.call_defaults import CallDefaults


def call_defaults(topology: Topology) -> Mapping[str, CallRules]:
    """Return the rules of the users of each home pool: those of the pool before those of all pools; none for a pool without."""
    found = {one.pool: rules_of(one) for one in topology.call_rules}
    general = found.get(None, NO_RULES)
    homes = [pool.name for pool in topology.pools if pool.role is Role.FRONT_END]
    both = {name: joined(found.get(name, NO_RULES), general) for name in homes}
    return {name: rules for name, rules in both.items() if rules != NO_RULES}


def rules_of(given: CallDefaults) -> CallRules:
    """Return an entry of the topology as rules of calls."""
    return CallRules(
        busy=target(given.busy),
        no_answer=target(given.no_answer),
        away=target(given.away),
        ring_s=given.ring_s or 0,
        callers={caller(one): CallerRule.BLOCK for one in given.block},
    )


def target(text: str | None) -> str:
    """Return a target as rules have it."""
    if text is None:
        return ""
    return f"{TEL}{text}" if text.startswith("+") and "@" not in text else f"sip:{text}"


def caller(text: str) -> str:
    """Return a caller as rules have it."""
    return text if text.startswith("@") or ("@" not in text and not text.startswith("+")) else target(text)


def joined(rules: CallRules, defaults: CallRules) -> CallRules:
    """Return *rules*, and *defaults* for what they do not say."""
    return replace(
        rules,
        busy=rules.busy or defaults.busy,
        no_answer=rules.no_answer or defaults.no_answer,
        away=rules.away or defaults.away,
        ring_s=rules.ring_s or defaults.ring_s,
        callers={**defaults.callers, **rules.callers} if defaults.callers else rules.callers,
    )


def in_effect(rules: CallRules | None, defaults: CallRules | None, aor: str) -> CallRules | None:
    """Return what counts for the calls of *aor*; None if no rule does. No default forwards the calls of its own target."""
    if rules is None and defaults is None:
        return None
    own = rules or NO_RULES
    if own.is_group:
        return own
    both = joined(own, defaults) if defaults is not None else own
    if NEVER in (both.busy, both.no_answer, both.away) or aor in (both.busy, both.no_answer, both.away):
        busy, no_answer, away = ("" if one in (NEVER, aor) else one for one in (both.busy, both.no_answer, both.away))
        both = replace(both, busy=busy, no_answer=no_answer, away=away)
    return both
