"""What happens to a request after it has arrived (`ReceivedRequest`): the answers to what was asked for it.

Do not change an instance. Those that are made for every login have a handwritten ``__init__`` (see `routing.outcome`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sipmesh.routing.outcome import Answer, Forward, Store, ToUser
from sipmesh.routing.proxy.effects import Divert
from sipmesh.routing.registrar.binding import Binding
from sipmesh.routing.target import AnotherNotifier
from sipmesh.server.proxy.flow import ReceivedRequest
from sipmesh.storage.messages import Storing


@dataclass(frozen=True, slots=True)
class NotOfControlPlane:
    """The control plane does not serve the request."""

    received: ReceivedRequest


@dataclass(frozen=True, slots=True)
class LoginDue:
    """The sender may log in as *aor* now: its wait is over."""

    received: ReceivedRequest
    aor: str


@dataclass(frozen=True, slots=True)
class LoginGivenUp:
    """Too many logins wait, a newer attempt has replaced this one, or the server drains."""

    received: ReceivedRequest


@dataclass(init=False, slots=True)
class LoggedIn:
    """The sender has proved who it is, by the credentials of the request."""

    received: ReceivedRequest

    def __init__(self, received: ReceivedRequest) -> None:
        self.received = received


@dataclass(frozen=True, slots=True)
class BindingsRead:
    """The registrations of *user* were read: *rows*, None if that was not possible."""

    received: ReceivedRequest
    user: ToUser
    rows: Sequence[Binding] | None


@dataclass(frozen=True, slots=True)
class MessageStored:
    """The MESSAGE for *aor* was stored, or *result* says why not."""

    received: ReceivedRequest
    aor: str
    result: Storing


@dataclass(frozen=True, slots=True)
class MembersReached:
    """The MESSAGE to the group was sent or stored for all of its *members* but *missed*."""

    received: ReceivedRequest
    members: int
    missed: int


@dataclass(frozen=True, slots=True)
class IdentityJudged:
    """The call may pass as *forward* says, or is *refused* for its signature."""

    received: ReceivedRequest
    forward: Forward
    refused: Answer | None


@dataclass(frozen=True, slots=True)
class TargetsLost:
    """No target of the request can be reached. *what* is to be done instead."""

    received: ReceivedRequest
    what: AnotherNotifier | Store


@dataclass(frozen=True, slots=True)
class Diverting:
    """A call of *identity* that rings here is forwarded too, as *wanted* says; *read* are the registrations of its target."""

    received: ReceivedRequest
    identity: str | None
    wanted: Divert
    read: BindingsRead | None = None


Answered = (
    NotOfControlPlane
    | LoginDue
    | LoginGivenUp
    | LoggedIn
    | BindingsRead
    | MessageStored
    | MembersReached
    | IdentityJudged
    | TargetsLost
    | Diverting
)
"""What happens to a request that was received before."""

Event = ReceivedRequest | Answered
