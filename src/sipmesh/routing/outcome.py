"""What a server decided to do with a request; the running server carries it out.

Nothing here is changed once made. What is made for every message has its ``__init__`` written out: the one that a frozen
dataclass generates sets each field by a call, and costs as much as the decision.
"""

from __future__ import annotations

from dataclasses import dataclass

from sipmesh.routing.target import Target
from sipmesh.trust.code import Code


@dataclass(frozen=True, slots=True)
class Answer:
    """Answer at once and go no further; *code* and *why* are for our log, the peer gets a coarse class only."""

    status: int
    reason: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    code: Code | None = None
    why: str = ""


@dataclass(frozen=True, slots=True)
class Prove:
    """The sender has to show that it is *aor* first: 401 for REGISTER, 407 for everything else."""

    aor: str
    status: int


@dataclass(frozen=True, slots=True)
class Register:
    """Hand the request to the registrar for *aor*, which its sender has proved to be."""

    aor: str


@dataclass(init=False, slots=True)
class ToUser:
    """Look up the bindings of *aor* and fork to them; *identity* is who sends, as ``sip:user@domain``."""

    aor: str
    identity: str | None

    def __init__(self, aor: str, identity: str | None) -> None:
        self.aor, self.identity = aor, identity


@dataclass(init=False, slots=True)
class Forward:
    """Send the request on to *targets*; *identity* is the identity that its sender may assert, if any."""

    targets: tuple[Target, ...]
    identity: str | None

    def __init__(self, targets: tuple[Target, ...], identity: str | None) -> None:
        self.targets, self.identity = targets, identity


@dataclass(frozen=True, slots=True)
class Drop:
    """Do nothing: an ACK that leads nowhere gets no answer (RFC 3261 section 17.1.1.3)."""

    why: str


Outcome = Answer | Prove | Register | ToUser | Forward | Drop


def attributed(outcome: Outcome, who: str | None) -> Outcome:
    """Say whose request goes on, if it does."""
    return Forward(outcome.targets, who) if isinstance(outcome, Forward) else outcome
