"""The rules of one user's calls, as they are stored, sent to servers, and applied."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from enum import StrEnum
from typing import Any, Final

from sipmesh.sip.tel import TEL, number_in
from sipmesh.sip.text import ascii_lower
from sipmesh.sip.uri import normal_escapes, unescaped

EVERYBODY: Final = "*"
"""The caller of the rule that counts for all callers for whom there is no other."""

NEVER: Final = "never"
"""In place of a target: no default of the topology forwards these calls."""

ANONYMOUS: Final = "anonymous"
"""The caller of the rule that counts for all callers who withhold their name."""

TARGETS: Final = ("always", "busy", "no_answer", "away")
"""The rules that forward calls."""

MOST_CALLERS: Final = 200
"""Rules about callers of one user: every server of the home pool has them in memory."""

MOST_TARGETS: Final = 8
"""Further numbers and users that ring at the same time: each is a call of its own."""

MOST_DELEGATES: Final = 20
"""Delegates of one user: every server of the network has them in memory."""

MOST_MEMBERS: Final = 1_000
"""Members of one group: every server of the network has them in memory."""

LEAST_RING_S: Final = 5
LONGEST_RING_S: Final = 180
"""Seconds for which phones may ring: after 185 s the caller's timer C ends the call (RFC 3261 section 16.6 item 11)."""

USUAL_RING_S: Final = 20
"""Seconds for which the phones ring before an unanswered call is forwarded, if the user has not said for how long."""


USUAL_GROUP_RING_S: Final = 60
USUAL_MEMBER_RING_S: Final = 15
"""Seconds for which a group rings in all, and each member in turn, if the group has no other times."""


class GroupOrder(StrEnum):
    """In which order the members of a group ring."""

    ALL = "all"  # at the same time
    IN_TURN = "in-turn"  # one after the other, from the first one
    LONGEST_IDLE = "longest-idle"  # one after the other, from the one whom the group has not called for longest


class CallerRule(StrEnum):
    """What happens to the calls of a caller."""

    ALLOW = "allow"  # rings, also while the user does not want to be disturbed
    BLOCK = "block"


@dataclass(frozen=True, slots=True)
class CallRules:
    """The rules of one user, or of a group. A target is ``sip:user@domain`` or ``tel:+number``, "" for none.

    *always*, *busy*, *no_answer* and *away* are the targets to which calls are forwarded. The phones ring for *ring_s* seconds,
    0 for as long as the caller waits. The targets *also* ring at the same time. *callers* has what happens to the calls of a
    caller: ``sip:carol@partner.test`` in lower case, ``tel:+4930123``, ``@partner.test``, `ANONYMOUS` or `EVERYBODY`.

    *delegates* are users who may call for the user. No search finds a user who is *unlisted*.
    A group has an *order*, and a user has none. Its *members* are users, each of whom rings for *member_s* seconds in turn, and
    *ring_s* is for how long the group rings in all.
    """

    always: str = ""
    busy: str = ""
    no_answer: str = ""
    away: str = ""
    ring_s: int = 0
    also: tuple[str, ...] = ()
    do_not_disturb: bool = False
    callers: Mapping[str, CallerRule] = field(default_factory=dict)
    order: str = ""
    members: tuple[str, ...] = ()
    member_s: int = 0
    delegates: tuple[str, ...] = ()
    unlisted: bool = False

    def as_json(self) -> dict[str, object]:
        """Return what differs from no rules, as JSON."""
        return {
            one.name: list(value) if isinstance(value, tuple) else value
            for one in fields(self)
            if (value := getattr(self, one.name))
        }

    @property
    def names(self) -> tuple[str, ...]:
        """All targets and callers: what fills a document."""
        return (
            self.always,
            self.busy,
            self.no_answer,
            self.away,
            *self.also,
            *self.callers,
            *self.members,
            *self.delegates,
        )

    def with_user_renamed(self, old: str, new: str) -> CallRules:
        """Return the rules with the user *new* in each place of the user *old*; with "" for *new*, nothing names *old* any more.

        Of two rules about one caller, a block counts.
        """
        was = ascii_lower(old)

        def instead(names: tuple[str, ...]) -> tuple[str, ...]:
            found = (new if ascii_lower(name) == was else name for name in names)
            return tuple(dict.fromkeys(name for name in found if name))

        callers: dict[str, CallerRule] = {}
        for caller, rule in self.callers.items():
            key = new if ascii_lower(caller) == was else caller
            if key:
                callers[key] = CallerRule.BLOCK if callers.get(key) is CallerRule.BLOCK else rule
        always, busy, no_answer, away = ("".join(instead((getattr(self, name),))) for name in TARGETS)
        also, members, delegates = (instead(names) for names in (self.also, self.members, self.delegates))
        targets = replace(self, always=always, busy=busy, no_answer=no_answer, away=away)
        return replace(targets, callers=callers, also=also, members=members, delegates=delegates)

    def for_all_pools(self) -> CallRules:
        """Give what the servers of all pools know: the rules of a group; of a user the delegates, and whether it is unlisted."""
        return self if self.is_group else CallRules(delegates=self.delegates, unlisted=self.unlisted)

    @property
    def is_group(self) -> bool:
        """Whether these are the rules of a group."""
        return bool(self.order)

    def rule_for(self, caller: str) -> CallerRule | None:
        """Return the nearest rule for *caller*: an address of record, or `ANONYMOUS`; None if there is none."""
        if not self.callers:
            return None
        for key in keys_of(caller):
            rule = self.callers.get(key)
            if rule is not None:
                return rule
        return None

    def lets_through(self, caller: str) -> bool:
        """Tell whether a rule allows this *caller* by name, and not as one of all callers."""
        return any(self.callers.get(key) is CallerRule.ALLOW for key in keys_of(caller) if key != EVERYBODY)


NO_RULES: Final = CallRules()
UNREADABLE: Final = CallRules(callers={EVERYBODY: CallerRule.BLOCK, ANONYMOUS: CallerRule.BLOCK}, unlisted=True)
"""In place of rules that cannot be read (rule R12): one of them may have been a block."""


def keys_of(caller: str) -> list[str]:
    """Give the keys of the rules that may count for *caller*, the nearest one first.

    A number means the same in each domain, and with each parameter behind it.
    """
    if caller == ANONYMOUS:
        return [ANONYMOUS, EVERYBODY]
    user, _, host = ascii_lower(caller.removeprefix("sip:")).rpartition("@")
    number = number_in(unescaped(user).partition(";")[0]) if user else None
    keys = [f"{TEL}{number.number}"] if number is not None and number.number.startswith("+") else []
    return [*keys, f"sip:{normal_escapes(user)}@{host}", f"@{host}", EVERYBODY]


def rules_from(given: Mapping[str, Any]) -> CallRules:
    """Read rules from JSON, as `CallRules.as_json` writes them; raises ValueError or TypeError for anything else.

    A key of a later release that we do not know is passed over. A rule for a caller that we do not know blocks.
    """
    known = {str(rule): rule for rule in CallerRule}
    callers = given.get("callers", {})
    return CallRules(
        always=_text(given.get("always", "")),
        busy=_text(given.get("busy", "")),
        no_answer=_text(given.get("no_answer", "")),
        away=_text(given.get("away", "")),
        ring_s=_seconds(given.get("ring_s", 0)),
        also=_texts(given.get("also", ()), MOST_TARGETS),
        do_not_disturb=_truth(given.get("do_not_disturb", False)),
        callers={_text(caller): known.get(_text(rule), CallerRule.BLOCK) for caller, rule in callers.items()},
        order=_text(given.get("order", "")),
        members=_texts(given.get("members", ()), MOST_MEMBERS),
        member_s=_seconds(given.get("member_s", 0)),
        delegates=_texts(given.get("delegates", ()), MOST_DELEGATES),
        unlisted=_truth(given.get("unlisted", False)),
    )


def _seconds(given: Any) -> int:
    if not isinstance(given, int) or isinstance(given, bool) or not 0 <= given <= LONGEST_RING_S:
        raise ValueError(f"{given!r} is no number of seconds")
    return given


def _truth(given: Any) -> bool:
    if not isinstance(given, bool):
        raise TypeError(f"{given!r} is no truth value")
    return given


def _texts(given: Any, most: int) -> tuple[str, ...]:
    if not isinstance(given, (list, tuple)):
        raise TypeError(f"{given!r} is not a list")
    return tuple(map(_text, given[:most]))


def _text(given: object) -> str:
    if not isinstance(given, str):
        raise TypeError(f"{given!r} is not a text")
    return given
