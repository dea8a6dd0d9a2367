"""One branch of a response context: its state, and the ways to its target that were not tried yet (RFC 3261 16.6)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto

from sipmesh.routing.call_rules.diversion import NOT_DIVERTED, Chain
from sipmesh.routing.target import ServerTarget, Target

Way = tuple[Target, str]
"""A target, and the server to try if the target has several."""


class BranchState(Enum):
    """The state of one branch."""

    CALLING = auto()
    PROCEEDING = auto()
    CANCELLING = auto()  # a CANCEL was sent; only the final response is awaited
    DONE = auto()


@dataclass(init=False, slots=True)
class Branch:
    """One attempt to send the request to *target*, at its server *name*. *ways* are the remaining alternatives.

    *late*: its timer has fired. *past*: it went to another address of a partner, after a 503 of the first one. *authorized*: it
    went to the same trunk again, after a challenge. *over*: the rules of the callee have ended it. *chain* says who has forwarded
    the call to *target*.
    """

    target: Target
    name: str
    ways: tuple[Way, ...]
    state: BranchState
    late: bool
    past: bool
    authorized: bool
    over: bool
    chain: Chain

    def __init__(self, way: Way, ways: tuple[Way, ...], chain: Chain = NOT_DIVERTED) -> None:
        self.target, self.name = way
        self.ways, self.chain = ways, chain
        self.state, self.late, self.past, self.over = BranchState.CALLING, False, False, False
        self.authorized = False


def ways_to(target: Target) -> tuple[Way, ...]:
    """List the ways to one target in the order to try them: the servers of a name, or the flows of a device."""
    if isinstance(target, ServerTarget):
        if len(target.names) == 1 and target.instead is None:
            return ((target, target.names[0]),)
        ways: list[Way] = [(target, name) for name in target.names]
        if target.instead is not None:
            ways.append((target.instead, ""))
        return tuple(ways)
    return ((target, ""), *[(spare, "") for spare in target.spares])
