"""Calls to telephone numbers that no user of ours has: to the gateways whose trunks carry the number."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sipmesh.routing.outcome import Answer, Forward, ToUser
from sipmesh.routing.roles.front_end import may_leave
from sipmesh.routing.target import ServerTarget
from sipmesh.sip.status import Status
from sipmesh.sip.uri import SipUri
from sipmesh.trust.code import Code
from sipmesh.trust.evidence import LinkKind

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sipmesh.routing.identity.sender import Sender
    from sipmesh.routing.numbers.trunk_table import TrunkRoute
    from sipmesh.server.in_force.in_force import InForce
    from sipmesh.sip.message import Request

FROM_OUTSIDE: Final = "a call of a partner or a trunk goes to users only: it leaves by no trunk"


def number_called(in_force: InForce, outcome: ToUser) -> str:
    """Give the whole number that a request calls whose *outcome* names no user; "" if it calls no number."""
    return "" if outcome.device is not None else in_force.numbers.whole_number(SipUri.parse(outcome.aor))


def to_trunks(
    in_force: InForce, sender: Sender, request: Request, outcome: ToUser, number: str
) -> Forward | Answer | None:
    """Send a call to the gateways whose trunks carry *number*; None if no trunk carries it."""
    trunks = in_force.trunks.carrying(number, request.call_id) if in_force.trunks is not None and number else ()
    if not trunks:
        return None
    if not may_leave(sender):
        return Answer(Status.FORBIDDEN, code=Code.NO_ROUTE, why=FROM_OUTSIDE)
    if request.method != "INVITE":
        why = f"a {request.method} for {number}: trunks carry calls only"
        return Answer(Status.NOT_FOUND, code=Code.NO_ROUTE, why=why)
    refusal = in_force.numbers.refusal(number, outcome.identity)
    if refusal:
        return Answer(Status.FORBIDDEN, code=Code.NO_ROUTE, why=refusal)
    uri = f"sip:{number}@{in_force.view.loaded.topology.sip_domains[0]};user=phone"
    target = ServerTarget(_gateways(in_force, trunks, request.call_id), LinkKind.SERVER, uri)
    return Forward((target,), outcome.identity)


def _gateways(in_force: InForce, trunks: Sequence[TrunkRoute], call_id: str) -> tuple[str, ...]:
    """Give the servers of the gateway pools of *trunks*, in the order of the trunks."""
    pools = dict.fromkeys(trunk.gateway for trunk in trunks)
    return tuple(server for pool in pools for server in in_force.view.choice_of(pool).turned(call_id))
