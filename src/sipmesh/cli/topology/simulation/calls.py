"""The decisions about one call of a user: what was typed, whose number it is, who may call it, and which trunks carry it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sipmesh.cli.topology.simulation.bounds import bounds_told, is_open, trunk_bounds_told
from sipmesh.cli.topology.simulation.decisions import Decision
from sipmesh.errors import OperatorError, RemoteError
from sipmesh.routing.call_rules.handling import CallHandling
from sipmesh.routing.call_rules.rule_words import in_words
from sipmesh.routing.numbers.countries import meaning_of
from sipmesh.routing.numbers.e164 import is_global
from sipmesh.routing.numbers.number_routes import named_first, named_only, route_for, routes_of
from sipmesh.routing.numbers.site_plans import site_plans_of
from sipmesh.routing.outcome import Answer
from sipmesh.routing.proxy.screening import screened
from sipmesh.server.in_force.roles import application_table
from sipmesh.server.in_force.trunk_rules import trunk_table
from sipmesh.sip.service_urn import is_service_urn, service_form, service_in
from sipmesh.sip.tel import NO_DOMAIN, TEL
from sipmesh.sip.uri import SipUri
from sipmesh.topology.view import view
from sipmesh.trust.code import Code
from sipmesh.trust.role import Role

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence
    from datetime import datetime

    from sipmesh.routing.call_rules.call_rules import CallRules
    from sipmesh.routing.identity.alias import OwnerOf
    from sipmesh.routing.numbers.trunk_table import TrunkRoute, TrunkTable
    from sipmesh.topology.document.load import Loaded
    from sipmesh.topology.view import ServerView

ANY_CALL: Final = "simulated"
RULE: Final = "rule R10"


class SimulatedCall:
    """A call of *user*, whose aliases are *aliases*, to what *typed* says; *owner_of* finds the user of a name.

    *rules_of* gives the rules of a user, and *home_of* the home pool. *at* is when the call begins. *classes* are those of
    numbers that groups of the directory give the caller.
    """

    def __init__(
        self,
        loaded: Loaded,
        user: str,
        typed: str,
        aliases: Sequence[str],
        owner_of: OwnerOf,
        rules_of: Callable[[str], CallRules | None],
        home_of: Callable[[str], str],
        at: datetime,
        classes: Collection[str] = (),
    ) -> None:
        self._rules_of, self._at, self._home_of, self._classes = rules_of, at, home_of, classes
        home = self._home = home_of(f"sip:{user}")
        self._here, self._user, self._typed = front_end_of(loaded), user, typed
        self._numbers = [alias.removeprefix(TEL) for alias in aliases if alias.startswith(f"{TEL}+")]
        self._owner_of, self._site = owner_of, site_plans_of(loaded.topology).of(f"sip:{user}", home)
        self._plan, self._routes = self._site.plan, routes_of(loaded.topology.numbers)
        self._sites = loaded.topology.numbers.sites
        self._table: TrunkTable | None = trunk_table(self._here)
        self._applications = application_table(self._here)

    def decisions(self) -> Iterator[Decision]:
        """Yield each decision, up to the first refusal, or to the trunks that are tried."""
        uri = dialled_uri(self._typed, self._user)
        if self._site.name:
            yield self._told("the site of the caller", self._where())
        emergency, service = self._plan.emergency_number(uri), service_in(uri)
        if emergency:
            called = f"urn:service:{service} is " if service else ""
            yield self._told(
                "the number", f"{called}the emergency number {emergency}: no class and no missing number hinders it"
            )
            yield from self._emergency()
            return
        if service:
            saw = f"urn:service:{service} is no emergency service of this site; the caller gets 404"
            remedies = ("write `emergency` into `numbers`; a service is sos or begins with sos.",)
            yield self._decided("the number", saw, accepted=False, remedies=remedies)
            return
        known = self._owner_of(uri.aor)
        number = "" if known else self._plan.whole_number(uri)
        owner = known or (self._owner_of(f"sip:{number}@{NO_DOMAIN}") if number else "")
        application = None if owner else self._applications.at(uri.aor, number)
        if application is not None:
            called = number or uri.aor.removeprefix("sip:")
            yield self._told("the number", f"{called} is of the application {application.pool}, which gets the call")
            return
        if owner or not number:
            yield self._inside(owner, number)
            yield from self._screened(owner)
            yield from self._by_rules(owner)
            return
        yield self._told("the number", number)
        yield from self._outside(number)

    def _where(self) -> str:
        """Say which site the caller is at, and why."""
        is_named = any(one.site == self._site.name and self._user in one.users for one in self._sites)
        return f"{self._site.name}, {'which names the caller' if is_named else f'that of the home pool {self._home}'}"

    def _outside(self, number: str) -> Iterator[Decision]:
        """Say who may call a number that no user has, and which trunks carry it."""
        yield self._told("what the number means", str(meaning_of(number)))
        refusal = self._plan.refusal(number, f"sip:{self._user}", self._classes)
        found = self._plan.class_of(number)
        yield self._decided(
            "who may call it", refusal or (f"the class {found.name}" if found else "no class"), not refusal
        )
        if not refusal:
            closed = found is not None and not is_open(found, self._plan.zone, self._at)
            yield self._decided("the bounds", bounds_told(self._plan, found, self._at), accepted=not closed)
            if not closed:
                yield from self._routed(number)

    def _routed(self, number: str) -> Iterator[Decision]:
        """Say by which route the call leaves at its time, and which trunks carry it."""
        trunks = self._table.carrying(number, ANY_CALL) if self._table is not None else ()
        if self._routes:
            route = route_for(self._routes, number, f"sip:{self._user}", self._site.name, self._at)
            trunks = trunks if route is None else named_only(trunks, route.trunks)
            saw = (
                f"{route.name}: only {', '.join(route.trunks)}"
                if route is not None
                else "none: each trunk that carries it"
            )
            yield self._told(f"the route at {self._at.isoformat(timespec='minutes')}", saw)
        yield from self._carried(trunks)

    def _emergency(self) -> Iterator[Decision]:
        """Say what an emergency call carries, and which trunks take it."""
        site = self._site
        told = [f"its location is {site.location}"] if site.location else ["it says no location"]
        told += [f"a user without a number is called back at {site.callback}"] if site.callback else []
        yield self._told("what the call says", "; ".join(told))
        taking = self._table.taking_emergencies() if self._table is not None else ()
        yield from self._carried(named_first(taking, site.emergency_trunks), is_emergency=True)

    def _inside(self, owner: str, number: str) -> Decision:
        if owner:
            called = f"{number} is a number" if number else f"{self._typed} is a name"
            return self._told(
                "the number", f"{called} of {owner.removeprefix('sip:')}: the call goes to the user's phones"
            )
        saw = f"{self._typed} is neither a user nor a whole number; the caller gets 404"
        return self._decided("the number", saw, accepted=False, remedies=(self._remedy(),))

    def _remedy(self) -> str:
        """Say what mends a call to what no user has: digits may be completed, a name is that of a user who is to be added."""
        if any(letter.isalpha() for letter in self._typed):
            return "to list the users and aliases: sipmesh user list, sipmesh user alias list"
        if not self._plan.country:
            return "to complete national numbers, write `country` into `numbers`"
        return f"for an extension: sipmesh user alias add USER {self._typed}"

    def _screened(self, owner: str) -> Iterator[Decision]:
        """Say which application gets the call before the phones of *owner*."""
        screener = self._applications.screener(owner, self._home_of(owner)) if owner else None
        if screener is not None:
            away = "the phones ring" if screener.passes else "the caller gets 503"
            saw = f"{screener.pool} gets the call first, and lets it go on or not; while it does not answer, {away}"
            yield self._told("the application that screens it", saw)

    def _by_rules(self, owner: str) -> Iterator[Decision]:
        """Say which rules of *owner* count for this call."""
        rules = self._rules_of(owner) if owner else None
        if rules is None:
            return
        told, callee = in_words(rules.as_json()), owner.removeprefix("sip:")
        said = screened(
            CallHandling(owner, rules), f"sip:{self._user}", is_hidden=False, replaces=False, is_beside=False
        )
        if isinstance(said, Answer):
            yield self._decided("the rules of the callee", f"{said.why}; the caller gets {said.status}", accepted=False)
        elif said is not None:
            to = said[-1].to.removeprefix("sip:").removeprefix("tel:")
            yield self._told("the rules of the callee", f"{callee} forwards the call to {to}: {said[-1].reason}")
        else:
            rest = "; ".join(f"{name} {value}" for name, value in told.items() if name != "callers")
            yield self._told("the rules of the callee", f"the phones of {callee} ring{': ' if rest else ''}{rest}")

    def _carried(self, trunks: Sequence[TrunkRoute], *, is_emergency: bool = False) -> Iterator[Decision]:
        if not trunks:
            remedies = ("write its first digits into `carries` of a trunk",)
            yield self._decided(
                "the trunks", "no trunk carries it; the caller gets 404", accepted=False, remedies=remedies
            )
        for place, trunk in enumerate(trunks, 1):
            yield self._by(place, trunk, is_emergency=is_emergency)

    def _by(self, place: int, trunk: TrunkRoute, *, is_emergency: bool) -> Decision:
        whole = [number for number in self._numbers if is_global(number)]
        number = next(iter(whole), (self._site.callback if is_emergency else "") or trunk.main_number)
        if not number and not is_emergency:
            remedies = (f"to give the user a number: sipmesh user alias add {self._user} +493012345",)
            saw = f"{self._user} has no number, and the trunk has no main_number"
            return self._decided(f"trunk {trunk.name}, tried as number {place}", saw, accepted=False, remedies=remedies)
        saw = f"through {trunk.gateway}, priority {trunk.priority}, weight {trunk.weight}; the caller is {number or 'withheld'}"
        saw += "" if is_emergency else trunk_bounds_told(trunk)
        return self._told(f"trunk {trunk.name}, tried as number {place}", saw)

    def _told(self, about: str, saw: str) -> Decision:
        return self._decided(about, saw, accepted=True)

    def _decided(self, about: str, saw: str, accepted: bool, remedies: Sequence[str] = ()) -> Decision:  # noqa: FBT001
        code = Code.ACCEPTED if accepted else Code.NO_ROUTE
        return Decision(self._here.pool.name, about, accepted, code, RULE, saw=saw, remedies=remedies)


def front_end_of(loaded: Loaded) -> ServerView:
    """Give the view of the first front end; raises `OperatorError` if there is none."""
    for pool in loaded.topology.pools:
        if pool.role is Role.FRONT_END:
            return view(loaded, pool.servers[0].name)
    raise OperatorError("the topology has no front end; to add a pool: sipmesh topology add pool --role front-end")


def dialled_uri(typed: str, user: str) -> SipUri:
    """Give the Request-URI of a phone on which *user* types *typed*; raises `OperatorError` if it is none."""
    text = typed if typed.startswith(("sip:", "sips:")) else f"sip:{typed}"
    text = text if "@" in text else f"{text}@{user.rpartition('@')[2]}"
    try:
        return service_form(typed) if is_service_urn(typed) else SipUri.parse(text)
    except RemoteError as wrong:
        raise OperatorError(f"{typed!r} cannot be called: {wrong}; write a number, such as +493012345") from wrong
