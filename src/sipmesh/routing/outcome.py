"""The decision about a request, as a value. The running server carries it out.

Do not change an instance. The classes that are made for every message have a handwritten ``__init__``: that of a frozen
dataclass sets each field with a function call, and would cost as much time as the decision.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from sipmesh.routing.call_rules.diversion import NOT_DIVERTED, Chain
from sipmesh.routing.call_rules.handling import CallHandling
from sipmesh.routing.registrar.device import Device, RegisteredContact
from sipmesh.routing.target import Target
from sipmesh.trust.code import Code

RETRY_AFTER_S: Final = "5"
"""After how many seconds a sender may try again, unless something else says when."""


@dataclass(frozen=True, slots=True)
class Answer:
    """Answer now, and do not forward. *code* and *why* go into our log only; the peer gets a coarse class.

    *is_busy*: without a code it is kept nowhere, so that a refusal under load costs little.
    """

    status: int
    reason: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    code: Code | None = None
    why: str = ""
    is_busy: bool = False


def try_later(why: str, after_s: str = RETRY_AFTER_S) -> Answer:
    """Answer 503: the sender may try again after so many seconds (RFC 3261 section 20.33)."""
    return Answer(503, headers=(("Retry-After", after_s),), why=why, is_busy=True)


DRAINING: Final = try_later("this server is draining")


@dataclass(init=False, slots=True)
class Prove:
    """The sender must first prove that it is *aor*. *status* of the challenge: 401 for REGISTER, 407 for others."""

    aor: str
    status: int

    def __init__(self, aor: str, status: int) -> None:
        self.aor, self.status = aor, status


@dataclass(init=False, slots=True)
class Register:
    """Give the request to the registrar. Its sender has proved that it is *aor*."""

    aor: str

    def __init__(self, aor: str) -> None:
        self.aor = aor


@dataclass(init=False, slots=True)
class ToUser:
    """Look up the bindings of *aor*, and fork to them. *identity* is the sender as ``sip:user@domain``, or None.

    *device* restricts the fork to one device. *instead* is what to do if the device has no binding; None answers 480.
    *chain* says who has forwarded the call to *aor*. *is_screened*: an application has let the call go on.
    """

    aor: str
    identity: str | None
    device: Device | None
    instead: Forward | None
    chain: Chain
    is_screened: bool

    def __init__(
        self,
        aor: str,
        identity: str | None,
        device: Device | None = None,
        instead: Forward | None = None,
        chain: Chain = NOT_DIVERTED,
        *,
        is_screened: bool = False,
    ) -> None:
        self.aor, self.identity, self.device, self.instead = aor, identity, device, instead
        self.chain, self.is_screened = chain, is_screened


@dataclass(frozen=True, slots=True)
class ToContact:
    """Find the user who has registered *contact*, and send the request to that Contact.

    *asks_mates*: if no user has registered it here, the other servers of the pool are asked. *identity* is as in
    `ToUser`.
    """

    contact: RegisteredContact
    identity: str | None
    asks_mates: bool


@dataclass(init=False, slots=True)
class Forward:
    """Forward the request to *targets*. *identity* is the identity that its sender may assert, or None.

    *otherwise* is what to do with a MESSAGE if no target can be reached, or what the rules of the callee say of a call, or whose
    phones ring after the application that screens it.
    """

    targets: tuple[Target, ...]
    identity: str | None
    otherwise: Otherwise

    def __init__(self, targets: tuple[Target, ...], identity: str | None, otherwise: Otherwise = None) -> None:
        self.targets, self.identity, self.otherwise = targets, identity, otherwise


@dataclass(frozen=True, slots=True)
class Store:
    """Store the MESSAGE for *aor*, who is not registered. *identity* is the sender as ``sip:user@domain``, or None."""

    aor: str
    identity: str | None


@dataclass(frozen=True, slots=True)
class Screening:
    """The application *pool* gets a call before the phones of *onward*. *passes*: while it does not answer, they ring.

    By *token* it lets the call on, unless the call is over before the application has accepted it.
    """

    onward: ToUser
    pool: str
    passes: bool
    token: str


@dataclass(frozen=True, slots=True)
class ToMembers:
    """Send the MESSAGE of *identity* to each of *members*, the users in the group *aor*."""

    aor: str
    identity: str
    members: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Serve:
    """Give a SUBSCRIBE, PUBLISH or message summary for *aor* to the notifier.

    *identity* is the sender as ``sip:user@domain``, or None.
    """

    aor: str
    identity: str | None


@dataclass(frozen=True, slots=True)
class Drop:
    """Drop the request: an ACK that cannot be routed gets no answer (RFC 3261 section 17.1.1.3)."""

    why: str


Otherwise = Store | CallHandling | Screening | None
Outcome = Answer | Prove | Register | ToUser | ToContact | Forward | Store | ToMembers | Serve | Drop


def attributed(outcome: Outcome, who: str | None) -> Outcome:
    """Set the identity *who* in a Forward. Other outcomes are returned unchanged."""
    return Forward(outcome.targets, who) if isinstance(outcome, Forward) else outcome
