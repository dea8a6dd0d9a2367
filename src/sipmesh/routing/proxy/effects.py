"""What a response context asks its caller to do (RFC 3261 16.6 to 16.10): values, which the relay carries out."""

from __future__ import annotations

from dataclasses import dataclass

from sipmesh.routing.call_rules.diversion import NOT_DIVERTED, Chain
from sipmesh.routing.call_rules.handling import CallHandling
from sipmesh.routing.outcome import Answer, Screening, Store, ToUser
from sipmesh.routing.target import AnotherNotifier, RemoteFlowTarget, Target
from sipmesh.sip.message import Response


@dataclass(init=False, slots=True)
class Start:
    """Send the request to *target* as branch *number*. *name* is the server to try if the target has several.

    *past*: not to the address of the partner that has just answered 503. *chain* says who has forwarded the call to *target*.
    """

    number: int
    target: Target
    name: str
    past: bool
    chain: Chain

    def __init__(
        self, number: int, target: Target, name: str = "", *, past: bool = False, chain: Chain = NOT_DIVERTED
    ) -> None:
        self.number, self.target, self.name, self.past, self.chain = number, target, name, past, chain


@dataclass(init=False, slots=True)
class SendResponse:
    """Send *response* to the sender of the request. Our Via has been removed."""

    response: Response

    def __init__(self, response: Response) -> None:
        self.response = response


@dataclass(frozen=True, slots=True)
class Silence:
    """End without a response."""


@dataclass(init=False, slots=True)
class Cancel:
    """Send a CANCEL on branch *number*. *reasons* are the values of its Reason field (RFC 3326)."""

    number: int
    reasons: tuple[str, ...]

    def __init__(self, number: int, reasons: tuple[str, ...] = ()) -> None:
        self.number, self.reasons = number, reasons


@dataclass(frozen=True, slots=True)
class Forget:
    """Delete the binding of *target*: its flow is gone."""

    target: RemoteFlowTarget


@dataclass(frozen=True, slots=True)
class AwaitSilent:
    """Wait `SILENT_S` for the branches that have not been answered at all, then call `ResponseContext.leave_silent`.

    *restarts*: another trunk is tried, and gets as much time as the first trunk.
    """

    restarts: bool = False


@dataclass(frozen=True, slots=True)
class DecideAgain:
    """Decide about the request once more: the notifier, or each phone, to which it was sent cannot be reached."""

    what: AnotherNotifier | Store


@dataclass(frozen=True, slots=True)
class AwaitAnswer:
    """Let the phones ring for as long as the rules of *handling* say, then call `ResponseContext.rung_out`."""

    handling: CallHandling


@dataclass(frozen=True, slots=True)
class Divert:
    """Find the target at the end of *chain*: `ResponseContext.diverted` or `ResponseContext.not_diverted` follows.

    A *redirection* of the branch to *target* wants it: the user who forwards, and the end of the chain, are still to be found.
    *by_first*: the first server of the call is to find it, also if it is here, since it has others ring. *onward*: the
    application of *screening* is away, so the target is this user, or the call is refused. *failed_with* is the status by
    which it has ended the call itself, 0 if its link was lost or it was silent. If it has let the call on before, that is the
    answer.
    """

    chain: Chain
    redirection: Response | None = None
    target: Target | None = None
    by_first: bool = False
    onward: ToUser | Answer | None = None
    screening: Screening | None = None
    failed_with: int = 0


@dataclass(frozen=True, slots=True)
class EndScreening:
    """The call of *screening* is over, or goes another way: its application may not let it on from now.

    *server*: this server of the application may not, since the call goes to the next one; "" for all of them.
    """

    screening: Screening
    server: str = ""


Effect = (
    Start | SendResponse | Silence | Cancel | Forget | AwaitSilent | DecideAgain | AwaitAnswer | Divert | EndScreening
)
