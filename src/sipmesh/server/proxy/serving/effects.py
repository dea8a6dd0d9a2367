"""What the server does next with a request: values, which `server.proxy.proxy_core` carries out.

Eight of them are what `routing.outcome` has already: `Answer`, `Drop`, `Forward`, `Prove`, `Register`, `Serve`, `Store` and
`ToMembers`. After `Prove`, the credentials of the request are checked, and `LoggedIn` follows if they are right. Do not
change an instance.
"""

from __future__ import annotations

from dataclasses import dataclass

from sipmesh.routing.outcome import Answer, Drop, Forward, Prove, Register, Serve, Store, ToMembers, ToUser
from sipmesh.server.proxy.flow import Flow
from sipmesh.server.quotas.usage import Usage
from sipmesh.storage.messages import Storing
from sipmesh.trust.trusted_peer import TrustedPeer


@dataclass(frozen=True, slots=True)
class ForwardAck:
    """Send the ACK of a 2xx on, which has no transaction (RFC 3261 section 17.1.1.3)."""

    forward: Forward


@dataclass(frozen=True, slots=True)
class EndCall:
    """Record *refused*, and end the call with both sides: the request is an ACK, which has no response."""

    forward: Forward
    refused: Answer


@dataclass(frozen=True, slots=True)
class ReadBindings:
    """Open the server transaction, and read the registrations of *user*. The answer is `BindingsRead`."""

    user: ToUser


@dataclass(frozen=True, slots=True)
class HandOver:
    """Give a SUBSCRIBE or PUBLISH for *aor* to the process of this server that is the notifier of *aor*."""

    aor: str


@dataclass(frozen=True, slots=True)
class AwaitLogin:
    """Have the login as *aor* wait: logins have failed before. What follows is `LoginDue` or `LoginGivenUp`."""

    aor: str


@dataclass(frozen=True, slots=True)
class JudgeIdentity:
    """Verify the signature of a call from a partner, or sign a call to one (RFC 8224). The answer is `IdentityJudged`."""

    forward: Forward


@dataclass(frozen=True, slots=True)
class AskControlPlane:
    """Give the request of our server *peer* to the control plane. If that does not serve it, `NotOfControlPlane` follows."""

    peer: TrustedPeer


@dataclass(frozen=True, slots=True)
class RefuseForOctets:
    """Answer 503: *account* has too many branches or octets. It is counted and logged."""

    account: Usage


@dataclass(frozen=True, slots=True)
class RefuseForUsers:
    """Answer 480: a partner has addressed too many different users. It is counted and logged."""


@dataclass(frozen=True, slots=True)
class RefuseUnstored:
    """Answer 480: the MESSAGE for *aor* could not be stored, as *result* says. It is logged."""

    aor: str
    result: Storing


@dataclass(frozen=True, slots=True)
class EndCarriedFlow:
    """Answer 200, and forget the carried *flow*: its client has gone."""

    flow: Flow


@dataclass(frozen=True, slots=True)
class CloseCarriedLink:
    """Answer 200, and close the link of the client of *flow*, whose home pool has ended its flow; None if it has closed."""

    flow: Flow | None


@dataclass(frozen=True, slots=True)
class CloseLink:
    """Close the link of the request."""

    why: str


Effect = (
    Forward
    | Answer
    | Prove
    | Register
    | Store
    | ToMembers
    | Serve
    | Drop
    | ForwardAck
    | EndCall
    | ReadBindings
    | HandOver
    | AwaitLogin
    | JudgeIdentity
    | AskControlPlane
    | RefuseForOctets
    | RefuseForUsers
    | RefuseUnstored
    | EndCarriedFlow
    | CloseCarriedLink
    | CloseLink
)
