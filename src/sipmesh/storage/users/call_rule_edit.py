"""Changes of the rules of a user's calls, as the commands, the console and the web phone ask for them.

Each target is read in the way in which the user would dial it, and has to be allowed to the user when the rule is set. Servers
check it again with each call, since the topology and the users may change.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from sipmesh.errors import OperatorError
from sipmesh.routing.call_rules.call_rules import (
    ANONYMOUS,
    EVERYBODY,
    LEAST_RING_S,
    LONGEST_RING_S,
    MOST_CALLERS,
    MOST_DELEGATES,
    MOST_MEMBERS,
    MOST_TARGETS,
    NEVER,
    TARGETS,
    UNREADABLE,
    USUAL_GROUP_RING_S,
    USUAL_MEMBER_RING_S,
    USUAL_RING_S,
    CallerRule,
    CallRules,
)
from sipmesh.routing.events.watcher_rules import watcher_key
from sipmesh.routing.identity.alias import alias_keys
from sipmesh.routing.numbers.site_plans import site_plans_of
from sipmesh.routing.registrar.address_of_record import read_address
from sipmesh.sip.tel import TEL, number_in
from sipmesh.sip.text import LWS
from sipmesh.sip.uri import SipUri
from sipmesh.storage.users.call_rule_rows import call_rules_in, set_call_rules
from sipmesh.storage.users.directory_rows import link_of
from sipmesh.storage.users.known_names import may_call, must_be_known
from sipmesh.storage.users.user_rows import owner_of, row_of, user_like
from sipmesh.topology.home_pools import home_by_default
from sipmesh.trust.role import Role

if TYPE_CHECKING:
    from sipmesh.database.lazy_module import sql
    from sipmesh.routing.numbers.dial_plan import DialPlan
    from sipmesh.storage.users.user_database import Users
    from sipmesh.topology.document.model import Topology

NONE: Final = "none"
"""What is given in place of a target to remove a rule."""

TRUTHS: Final = ("do_not_disturb", "unlisted")
OVERFLOWS: Final = ("busy", "no_answer", "away")
_WRITTEN_DIGITS: Final = frozenset("+0123456789-.() ")


class RuleError(OperatorError):
    """What cannot be the value of *rule*, a member of `CallRules`; *message* says why."""

    def __init__(self, rule: str, wrong: OperatorError) -> None:
        super().__init__(wrong.message, wrong.problems)
        self.rule = rule


@contextmanager
def _at(rule: str) -> Iterator[None]:
    """Say about a fault at which *rule* it is."""
    try:
        yield
    except OperatorError as wrong:
        raise RuleError(rule, wrong) from None


class CallRuleEdit:
    """Changes rules of the users of *users*, in the names and numbers of *topology*."""

    __slots__ = ("_plans", "_topology", "_users")

    def __init__(self, users: Users, topology: Topology) -> None:
        self._users, self._topology = users, topology
        self._plans = site_plans_of(topology)

    def change(self, aor: str, asked: Mapping[str, Any]) -> CallRules:
        """Change the rules of *aor* as *asked*, and return them.

        *asked* has members of `CallRules` with texts as a user writes them: a target or `NONE`, seconds, a list of targets, a
        truth value, and by caller ``allow``, ``block`` or `NONE`. For a group, it may have an *order*, users to *add* and to
        *leave*, and an *overflow*, the target of all calls that no member takes. Raises `OperatorError` for what no rule can be.
        """
        uri = self._users.known_address(aor)
        with self._users.changing(uri.aor) as (db, _):
            return self.change_in(db, uri, asked)

    def change_in(self, db: sql.Connection, uri: SipUri, asked: Mapping[str, Any]) -> CallRules:
        """Do the same as `change` for the user *uri*, in the transaction of *db*."""
        present = call_rules_in(row_of(db, uri.aor))
        if present is UNREADABLE:
            user = uri.aor[4:]
            raise OperatorError(
                f"the rules of {user} cannot be read, so all calls are blocked; remove them: sipmesh user rules clear {user}"
            )
        rules = self._changed(db, uri, present, asked)
        set_call_rules(db, uri.aor, rules)
        return rules

    def _changed(self, db: sql.Connection, user: SipUri, rules: CallRules, asked: Mapping[str, Any]) -> CallRules:
        targets = {**dict.fromkeys(OVERFLOWS, asked.get("overflow")), **asked}
        readers: dict[str, Callable[[Any], object]] = {
            **{name: partial(self._target_of, db, user, name) for name in TARGETS},
            "also": partial(self._also, db, user),
            "ring_s": ring_time,
            **dict.fromkeys(TRUTHS, bool),
            "delegates": partial(self._delegates, db, user),
            "callers": partial(self._callers, db, user, rules.callers),
        }
        given: dict[str, Any] = {}
        for name, reader in readers.items():
            if targets.get(name) is not None:
                with _at(name):
                    given[name] = reader(targets[name])
        if not rules.is_group and not asked.get("order"):
            _must_be_of_a_user(user, asked)
            return self._with_times(replace(rules, **given))
        if asked.get("delegates"):
            raise OperatorError(f"{user.aor[4:]} is a group, and makes no calls")
        if asked.get("also"):
            raise OperatorError(f"nothing rings beside the group {user.aor[4:]}; add users to it")
        if asked.get("member_s") is not None:
            given["member_s"] = ring_time(int(asked["member_s"]))
        members = self._members(db, user, rules.members, asked)
        return _with_group_times(replace(rules, **given, order=str(asked.get("order") or rules.order), members=members))

    def _with_times(self, changed: CallRules) -> CallRules:
        return (
            replace(changed, ring_s=USUAL_RING_S)
            if changed.no_answer not in {"", NEVER} and not changed.ring_s
            else changed
        )

    def _also(self, db: sql.Connection, user: SipUri, asked: Any) -> tuple[str, ...]:
        found = dict.fromkeys(self._target(db, user, str(text)) for text in asked if str(text) != NONE)
        if len(found) > MOST_TARGETS:
            raise OperatorError(f"{len(found)} targets ring at the same time, and {MOST_TARGETS} may; leave some out")
        return tuple(found)

    def _delegates(self, db: sql.Connection, user: SipUri, asked: Any) -> tuple[str, ...]:
        found = dict.fromkeys(self._member(db, user, str(text)) for text in asked if str(text) != NONE)
        if user.aor in found:
            raise OperatorError(f"{user.aor[4:]} cannot be a delegate of {user.aor[4:]}")
        if len(found) > MOST_DELEGATES:
            raise OperatorError(f"{len(found)} delegates, and {MOST_DELEGATES} is the limit; leave some out")
        return tuple(found)

    def _members(
        self, db: sql.Connection, group: SipUri, present: Sequence[str], asked: Mapping[str, Any]
    ) -> tuple[str, ...]:
        """Add and remove members; who is a member already keeps the place in the order."""
        members = dict.fromkeys(present)
        for text in asked.get("leave") or ():
            members.pop(self._member(db, group, str(text)), None)
        for text in asked.get("add") or ():
            aor = self._member(db, group, str(text))
            if call_rules_in(row_of(db, aor)).is_group:
                raise OperatorError(f"{aor[4:]} is a group, and the members of a group are users")
            members[aor] = None
        if len(members) > MOST_MEMBERS:
            raise OperatorError(f"{len(members)} members, and {MOST_MEMBERS} is the limit; remove some")
        return tuple(members)

    def _member(self, db: sql.Connection, group: SipUri, text: str) -> str:
        text = text.strip(LWS)
        address = read_address(text if "@" in text else f"{text}@{group.host}")
        owner = self._owner(db, address, self._plan_of(db, group))
        if not owner:
            raise OperatorError(f"{text} is not a user; to list the users: sipmesh user list")
        return owner

    def _target_of(self, db: sql.Connection, user: SipUri, rule: str, text: str) -> str:
        """Read the target of a rule; `NEVER` is one where the topology may have another."""
        return NEVER if text == NEVER and rule in OVERFLOWS else self._target(db, user, text)

    def _target(self, db: sql.Connection, user: SipUri, text: str) -> str:
        """Read a target: a user or alias of ours, a user of a partner or an application, or a number that *user* may call."""
        text = text.strip(LWS)
        if not text or text == NONE:
            return ""
        named = f"sip:{text.replace(' ', '')}@{user.host}" if _WRITTEN_DIGITS.issuperset(text) else ""
        address = SipUri.parse(named) if named else read_address(text if "@" in text else f"{text}@{user.host}")
        plan = self._plan_of(db, user)
        owner = self._owner(db, address, plan)
        if owner == user.aor:
            raise OperatorError(f"{text} is {owner[4:]}: a call cannot be forwarded to the user who forwards it")
        if owner:
            return owner
        number = plan.whole_number(address) if named or number_in(address.user or "") else ""
        if number or named:
            link = link_of(db, user.aor)
            return _number(plan, user, text, number, link.classes if link is not None else ())
        return self._beyond(address)

    def _beyond(self, address: SipUri) -> str:
        """Read the address of a user who is not ours."""
        federation, host = self._topology.federation, address.host
        if host in self._topology.sip_domains:
            must_be_known(self._topology, address)
            return address.aor
        partners = {domain for partner in federation.partners if partner.trunk is None for domain in partner.domains}
        applications = {
            name
            for pool in self._topology.pools
            if pool.role is Role.APPLICATION
            for name in (pool.name, *(server.name for server in pool.servers))
        }
        if host in federation.blocked or host not in partners | applications:
            raise OperatorError(f"{host} is no domain of yours, of a partner or of an application: nothing leads there")
        return watcher_key(address.aor)

    def _callers(
        self, db: sql.Connection, user: SipUri, present: Mapping[str, CallerRule], asked: Mapping[str, str]
    ) -> dict[str, CallerRule]:
        callers = dict(present)
        for text, rule in asked.items():
            key = self._caller(db, user, text.strip(LWS), is_new=rule != NONE)
            callers.pop(key, None)
            if rule != NONE:
                callers[key] = CallerRule(rule)
        if len(callers) > MOST_CALLERS:
            raise OperatorError(f"{len(callers)} rules about callers, and {MOST_CALLERS} is the limit; remove some")
        return callers

    def _caller(self, db: sql.Connection, user: SipUri, text: str, *, is_new: bool) -> str:
        """Read a caller: a user by any of the names, a partner's user, a number, a domain, ``anonymous`` or ``*``.

        A rule that *is_new* is about no name that a later user may get.
        """
        if text in {ANONYMOUS, EVERYBODY}:
            return text
        if text.startswith("@"):
            return f"@{read_address(f'all{text}').host}"
        named = f"sip:{text.replace(' ', '')}@{user.host}" if _WRITTEN_DIGITS.issuperset(text) else ""
        address = SipUri.parse(named) if named else read_address(text if "@" in text else f"{text}@{user.host}")
        plan = self._plan_of(db, user)
        owner = self._owner(db, address, plan)
        if owner:
            return owner
        number = plan.whole_number(address) if named else ""
        if named and not number:
            raise OperatorError(f"{text} is neither an extension nor a whole telephone number; write it as +493012345")
        if number:
            return f"{TEL}{number}"
        if is_new:
            may_call(self._topology, address)
        return watcher_key(address.aor)

    def _plan_of(self, db: sql.Connection, user: SipUri) -> DialPlan:
        """Return how *user* types numbers."""
        home = str(row_of(db, user.aor)["pool"] or "") or home_by_default(self._topology)
        return self._plans.of(user.aor, home).plan

    def _owner(self, db: sql.Connection, address: SipUri, plan: DialPlan) -> str:
        """Return the user of ours whose name, alias or number *address* is, "" if it is none of them."""
        if address.host not in self._topology.sip_domains:
            return ""
        whole = plan.whole_number(address)
        keys = (*alias_keys(address.aor), *((f"{TEL}{whole}",) if whole else ()))
        return user_like(db, address.aor) or owner_of(db, keys)


def _number(plan: DialPlan, user: SipUri, text: str, number: str, given: Collection[str]) -> str:
    digits = "".join(filter(str.isdigit, text))
    if digits in plan.emergency:
        raise OperatorError(f"{text} is an emergency number: no call is forwarded to it")
    if not number:
        raise OperatorError(f"{text} is neither an extension nor a whole telephone number; write it as +493012345")
    refusal = plan.refusal(number, user.aor, given)
    if refusal:
        raise OperatorError(f"{refusal}; allow it first under numbers.classes of the topology")
    return f"{TEL}{number}"


def _must_be_of_a_user(user: SipUri, asked: Mapping[str, Any]) -> None:
    if any(asked.get(name) is not None for name in ("add", "leave", "member_s", "overflow")):
        raise OperatorError(f"{user.aor[4:]} is not a group; to add one: sipmesh group add NAME")


def _with_group_times(rules: CallRules) -> CallRules:
    return replace(rules, ring_s=rules.ring_s or USUAL_GROUP_RING_S, member_s=rules.member_s or USUAL_MEMBER_RING_S)


def ring_time(seconds: int) -> int:
    """Return for how long phones ring, 0 for no rule; raises `OperatorError` for another time."""
    if seconds and not LEAST_RING_S <= seconds <= LONGEST_RING_S:
        raise OperatorError(f"phones ring for {LEAST_RING_S} to {LONGEST_RING_S} seconds, and not for {seconds}")
    return seconds
