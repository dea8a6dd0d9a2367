"""What a response context asks its caller to do (RFC 3261 16.6 to 16.10): values, which the relay carries out."""

from __future__ import annotations

from dataclasses import dataclass

from sipmesh.routing.outcome import Store
from sipmesh.routing.target import AnotherNotifier, RemoteFlowTarget, Target
from sipmesh.sip.message import Response


@dataclass(init=False, slots=True)
class Start:
    """Send the request to *target* as branch *number*. *name* is the server to try if the target has several.

    *past*: not to the address of the partner that has just answered 503.
    """

    number: int
    target: Target
    name: str
    past: bool

    def __init__(self, number: int, target: Target, name: str = "", *, past: bool = False) -> None:
        self.number, self.target, self.name, self.past = number, target, name, past


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


Effect = Start | SendResponse | Silence | Cancel | Forget | AwaitSilent | DecideAgain
