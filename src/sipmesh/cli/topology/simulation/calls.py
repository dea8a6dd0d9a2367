"""The decisions about one call of a user: what was typed, whose number it is, who may call it, and which trunks carry it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sipmesh.cli.topology.simulation.decisions import Decision
from sipmesh.errors import OperatorError, RemoteError
from sipmesh.routing.numbers.e164 import is_global
from sipmesh.server.in_force.trunk_rules import dial_plan, trunk_table
from sipmesh.sip.tel import NO_DOMAIN, TEL
from sipmesh.sip.uri import SipUri
from sipmesh.topology.view import view
from sipmesh.trust.code import Code
from sipmesh.trust.role import Role

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sipmesh.routing.identity.alias import OwnerOf
    from sipmesh.routing.numbers.trunk_table import TrunkRoute, TrunkTable
    from sipmesh.topology.document.load import Loaded
    from sipmesh.topology.view import ServerView

ANY_CALL: Final = "simulated"
RULE: Final = "rule R10"


class SimulatedCall:
    """A call of *user*, whose aliases are *aliases*, to what *typed* says; *owner_of* finds the user of a name."""

    def __init__(self, loaded: Loaded, user: str, typed: str, aliases: Sequence[str], owner_of: OwnerOf) -> None:
        self._here, self._user, self._typed = front_end_of(loaded), user, typed
        self._numbers = [alias.removeprefix(TEL) for alias in aliases if alias.startswith(f"{TEL}+")]
        self._owner_of, self._plan = owner_of, dial_plan(self._here)
        self._table: TrunkTable | None = trunk_table(self._here)

    def decisions(self) -> Iterator[Decision]:
        """Yield each decision, up to the first refusal, or to the trunks that are tried."""
        uri = dialled_uri(self._typed, self._user)
        emergency = self._plan.emergency_number(uri)
        if emergency:
            yield self._told(
                "the number", f"the emergency number {emergency}: no class and no missing number hinders it"
            )
            yield from self._carried(
                self._table.taking_emergencies() if self._table is not None else (), is_emergency=True
            )
            return
        known = self._owner_of(uri.aor)
        number = "" if known else self._plan.whole_number(uri)
        owner = known or (self._owner_of(f"sip:{number}@{NO_DOMAIN}") if number else "")
        if owner or not number:
            yield self._inside(owner, number)
            return
        yield self._told("the number", number)
        refusal = self._plan.refusal(number, f"sip:{self._user}")
        found = self._plan.class_of(number)
        yield self._decided(
            "who may call it", refusal or (f"the class {found.name}" if found else "no class"), not refusal
        )
        if not refusal:
            yield from self._carried(self._table.carrying(number, ANY_CALL) if self._table is not None else ())

    def _inside(self, owner: str, number: str) -> Decision:
        if owner:
            called = f"{number} is a number" if number else f"{self._typed} is a name"
            return self._told(
                "the number", f"{called} of {owner.removeprefix('sip:')}: the call goes to the user's phones"
            )
        saw = f"{self._typed} is neither a user nor a whole number; the caller gets 404"
        remedies = ("to complete national numbers, write `country` into `numbers`",)
        return self._decided("the number", saw, accepted=False, remedies=remedies)

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
        number = next(iter(whole), trunk.main_number)
        if not number and not is_emergency:
            remedies = (f"to give the user a number: sipmesh user alias add {self._user} +493012345",)
            saw = f"{self._user} has no number, and the trunk has no main_number"
            return self._decided(f"trunk {trunk.name}, tried as number {place}", saw, accepted=False, remedies=remedies)
        saw = f"through {trunk.gateway}, priority {trunk.priority}, weight {trunk.weight}; the caller is {number or 'withheld'}"
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
        return SipUri.parse(text)
    except RemoteError as wrong:
        raise OperatorError(f"{typed!r} cannot be called: {wrong}; write a number, such as +493012345") from wrong
