"""The response context of a forked request (RFC 3261 16.7 to 16.9): the running branches, and the responses to send."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

from sipmesh.errors import LocalError
from sipmesh.routing.proxy.breadth import breadth_of, narrowed
from sipmesh.routing.target import FlowTarget, Found, RemoteFlowTarget, ServerTarget, Target
from sipmesh.sip.message import Request, Response, respond
from sipmesh.sip.text import octets_of

NOT_FOUND: Final = 404
REQUEST_TIMEOUT: Final = 408
FLOW_FAILED: Final = 430
TEMPORARILY_UNAVAILABLE: Final = 480
FLOW_IS_DEAD: Final = frozenset({REQUEST_TIMEOUT, FLOW_FAILED})
"""After these, another flow of the same device is tried; after no other response (RFC 5626 section 7)."""
SERVER_INTERNAL_ERROR: Final = 500
BAD_GATEWAY: Final = 502
SERVICE_UNAVAILABLE: Final = 503
CHALLENGES: Final = {401: "www-authenticate", 407: "proxy-authenticate"}
MAX_CHALLENGES: Final = 8
"""Challenges that are merged, for a few realms and algorithms (RFC 8760 2.3). A client reads each of them."""
MAX_CHALLENGE_OCTETS: Final = 16384
"""Octets of all merged challenges. With them, the header is still below the limit of the next hop."""
PREFERRED: Final = (401, 407, 415, 420, 484)
"""Within a class: "preference SHOULD be given to responses that provide information affecting resubmission"."""


Way = tuple[Target, str]
"""A target, and the server to try if the target has several."""


class BranchState(Enum):
    """The state of one branch."""

    CALLING = auto()
    PROCEEDING = auto()
    CANCELLING = auto()  # a CANCEL was sent; only the final response is awaited
    DONE = auto()


@dataclass(init=False, slots=True)
class Start:
    """Send the request to *target* as branch *number*. *name* is the server to try if the target has several."""

    number: int
    target: Target
    name: str

    def __init__(self, number: int, target: Target, name: str = "") -> None:
        self.number, self.target, self.name = number, target, name


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
    """Wait `SILENT_S` for the branches that have not been answered at all, then call `ResponseContext.leave_silent`."""


Effect = Start | SendResponse | Silence | Cancel | Forget | AwaitSilent

SILENT_S: Final = 4.0
"""Seconds for phones that answer an INVITE with nothing, once another device has refused it or the caller has cancelled it.

A phone sends 100 within 0.2 s (RFC 3261 section 17.2.1), on a link that loses nothing. So the link of a silent phone is dead,
and nobody should wait for its timer B (32 s) to hear that the user is busy.
"""
WHY: Final = {
    NOT_FOUND: "no server of the pool knows the device",
    REQUEST_TIMEOUT: "no final response has come in time",
    FLOW_FAILED: "the flow has failed",
    TEMPORARILY_UNAVAILABLE: "the link of the phone is gone",
    BAD_GATEWAY: "the next hop has sent a malformed response",
    SERVICE_UNAVAILABLE: "no server at the next hop can be reached",
}
"""What happened, by the status that we make for a branch without a response. The warn-agent is a pseudonym."""

TIMED_OUT: Final = ('SIP;cause=408;text="Request Timeout"',)
"""The Reason in the CANCEL after timer C (RFC 3326)."""


ELSEWHERE: Final = ('SIP;cause=200;text="Call completed elsewhere"',)
"""The Reason in the CANCEL to the other branches after a 2xx: their phones show no missed call (RFC 3326 section 3.1)."""


@dataclass(init=False, slots=True)
class Branch:
    """One attempt to send the request. *ways* are the remaining alternatives. *late*: its timer has fired."""

    target: Target
    ways: tuple[Way, ...]
    state: BranchState
    late: bool

    def __init__(self, target: Target, ways: tuple[Way, ...]) -> None:
        self.target, self.ways = target, ways
        self.state, self.late = BranchState.CALLING, False


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


class ResponseContext:
    """Collects the responses to one request, and decides what to do. It has no clock and no socket."""

    __slots__ = (
        "answered",
        "best",
        "branches",
        "by_token",
        "cancelled",
        "challenged",
        "challenges",
        "invite",
        "is_weak",
        "reasons",
        "request",
        "share",
        "waiting",
    )

    def __init__(self, request: Request, waiting: list[tuple[Target, ...]]) -> None:
        self.request, self.waiting = request, waiting
        self.invite = request.method == "INVITE"  # then every 2xx is forwarded
        self.branches: dict[int, Branch] = {}
        self.best: Response | None = None
        self.challenges: list[tuple[str, str]] = []
        self.challenged = 0  # number of challenges received, including those that were dropped
        self.answered = self.cancelled = False
        self.by_token = self.is_weak = False  # is_weak: the best response is a 404 of a server that was only asked
        self.reasons: tuple[str, ...] = ()
        self.share = 0  # the Max-Breadth of the branches that start; 0 leaves the field of the request as it is

    def __repr__(self) -> str:
        return f"<ResponseContext of {self.request!r}: {self.branches}>"

    @staticmethod
    def of(request: Request, targets: tuple[Target, ...]) -> ResponseContext:
        """Group *targets* by q, highest first. A group runs in parallel; the next group starts when all of it failed.

        *by_token*: another server of the pool has sent the request to a flow of ours. It has answered the caller with 100, and
        needs to know whether the phone answers. So it gets the 100 of the phone in place of ours.

        A group larger than Max-Breadth, which must not be 0, is split (RFC 5393 section 5.3.3).
        """
        if len(targets) == 1:
            context, target = ResponseContext(request, [targets]), targets[0]
            context.by_token = isinstance(target, FlowTarget) and target.found in {Found.TOKEN, Found.PATH}
            return context
        ranks = sorted({target.q for target in targets})  # start() takes the last group first
        groups = narrowed([tuple(t for t in targets if t.q == rank) for rank in ranks], breadth_of(request))
        return ResponseContext(request, groups)

    @property
    def running(self) -> bool:
        """Whether a branch may still answer; a branch that was left as silent counts again once it sends a response."""
        for branch in self.branches.values():
            if branch.state is not BranchState.DONE and not (branch.late and branch.state is BranchState.CALLING):
                return True
        return False

    @property
    def _waits_for_silent(self) -> bool:
        """Whether all that is left to wait for is phones that have not answered at all, and there is an answer without them.

        480 and 408 are no such answer: we make them ourselves for other flows.
        """
        has_answer = (
            self.best is not None
            and not self.is_weak
            and self.best.status not in {REQUEST_TIMEOUT, TEMPORARILY_UNAVAILABLE}
        )
        if not self.invite or self.answered or not (self.cancelled or has_answer):
            return False
        for branch in self.branches.values():
            is_silent = branch.state is BranchState.CALLING and not isinstance(branch.target, ServerTarget)
            if branch.state is not BranchState.DONE and not is_silent:
                return False
        return self.running

    @property
    def ended(self) -> bool:
        """Whether the search has ended: no new branch starts, and the running branches are cancelled.

        After a 6xx a proxy "MUST NOT create any new branches in this context" (RFC 3261 section 16.7 item 5).
        """
        return self.cancelled or self.answered or (self.best is not None and self.best.status >= 600)  # noqa: PLR2004 - global failure

    def start(self) -> list[Effect]:
        """Start the next group of targets; if there is none, give the final response."""
        if not self.waiting or self.cancelled:
            return self._conclude()
        group = self.waiting.pop()
        if len(group) > 1 or self.share:
            self.share = breadth_of(self.request) // len(group)
        return [self._start(ways_to(target)) for target in group]

    def responded(self, number: int, response: Response) -> list[Effect]:
        """Process a response on the branch *number*."""
        branch = self.branches[number]
        if response.status < 200:  # noqa: PLR2004 - provisional (RFC 3261 section 7.2)
            return self._provisional(branch, number, response)
        if response.status < 300:  # noqa: PLR2004 - success
            return self._success(branch, response)
        if branch.state is BranchState.DONE:
            return []
        branch.state = BranchState.DONE
        return self._failed(branch, response)

    def _failed(self, branch: Branch, response: Response) -> list[Effect]:
        """Process the final response of a branch that has failed."""
        if response.status == FLOW_FAILED and isinstance(branch.target, RemoteFlowTarget):
            return [
                Forget(branch.target),
                *self._try_next_way(branch, explained(self.request, TEMPORARILY_UNAVAILABLE)),
            ]
        if response.status == SERVICE_UNAVAILABLE:
            response = overloaded(response)
            if not isinstance(branch.target, FlowTarget):
                return self._past_server(branch, response)
        if response.status in FLOW_IS_DEAD and self._has_spare(branch):
            return self._try_next_way(branch, response)
        if not branch.late:  # a late branch was already counted as a 408
            self._consider_of(branch, response)
        return self._global_failure(response.status) if response.status >= 600 else self._next()  # noqa: PLR2004 - global failure

    def lost(self, number: int) -> list[Effect]:
        """Process the loss of a branch's link, or a link that could not be opened: try each alternative once.

        A request that got a provisional response has arrived, and is not sent again.
        """
        branch = self.branches[number]
        if branch.state is BranchState.DONE:
            return []
        if branch.state is not BranchState.CALLING:
            branch.ways = ()
        branch.state = BranchState.DONE
        return self._try_next_way(branch, explained(self.request, lost_status(branch.target)))

    def timed_out(self, number: int) -> list[Effect]:
        """Process the timeout of a branch (timers B, C and F): it counts as a 408. Another flow of the same device is tried.

        "If the client transaction has received a provisional response, the proxy MUST generate a CANCEL request" (RFC 3261
        section 16.8). Then its final response is awaited for one more timer.
        """
        branch = self.branches[number]
        if branch.state is BranchState.DONE:
            return []
        if not branch.late and branch.state is BranchState.CALLING and self._has_spare(branch):
            branch.late, branch.state = True, BranchState.DONE
            return [self._start(branch.ways)]
        if not branch.late:
            branch.late, branch.ways = True, ()
            self._consider(explained(self.request, REQUEST_TIMEOUT))
            if self.invite and branch.state is BranchState.PROCEEDING:
                branch.state = BranchState.CANCELLING
                return [Cancel(number, TIMED_OUT)]
        branch.state = BranchState.DONE
        return self._next()

    def refuse(self, number: int, response: Response, reasons: tuple[str, ...]) -> list[Effect]:
        """Refuse a provisional response on the branch *number*: cancel the branch. *response* counts as its response."""
        branch = self.branches[number]
        if branch.state is BranchState.DONE or branch.late:
            return []
        branch.late, branch.ways = True, ()
        self._consider(response)
        if branch.state is BranchState.CANCELLING:
            return []
        branch.state = BranchState.CANCELLING
        return [Cancel(number, reasons)]

    def leave_silent(self) -> list[Effect]:
        """Wait no longer for phones that have not answered at all: the link of each is dead, and counts as a 408.

        Another flow of the same device is tried. One that sends a response later is cancelled.
        """
        if not self._waits_for_silent:
            return []
        started: list[Effect] = []
        for branch in list(self.branches.values()):
            if branch.state is BranchState.CALLING and not branch.late:
                branch.late = True
                if self._has_spare(branch):
                    started.append(self._start(branch.ways))
        return [*started, *self._next()]

    def _has_spare(self, branch: Branch) -> bool:
        """Tell whether another flow of the same device may be tried."""
        return bool(branch.ways) and not self.ended and not isinstance(branch.target, ServerTarget)

    def cancel(self, reasons: tuple[str, ...] = ()) -> list[Effect]:
        """Process the sender's CANCEL (RFC 3261 section 16.10): cancel each branch, with the same *reasons*."""
        self.cancelled = True
        self.waiting.clear()
        effects = self._cancel_running(reasons)
        return [*effects, AwaitSilent()] if self._waits_for_silent else effects

    def give_up(self, retry_after_s: str) -> list[Effect]:
        """This server stops before the request has its final response: take every branch back and answer 503.

        The sender may try another server at once, and this one after *retry_after_s* seconds (RFC 3261 section 21.5.4).
        """
        if self.answered:
            return []
        self.waiting.clear()
        effects = self._cancel_running()
        self.answered = True
        headers = (("Retry-After", retry_after_s),)
        return [*effects, SendResponse(respond(self.request, SERVICE_UNAVAILABLE, headers=headers))]

    def _start(self, ways: tuple[Way, ...]) -> Start:
        number = len(self.branches)
        target, name = ways[0]
        self.branches[number] = Branch(target, ways[1:])
        return Start(number, target, name)

    def _try_next_way(self, branch: Branch, response: Response) -> list[Effect]:
        """Try the next way of *branch*. If there is none, *response* is the response of this branch."""
        if branch.ways and not self.ended:
            return [self._start(branch.ways)]
        self._consider_of(branch, response)
        return self._next()

    def _past_server(self, branch: Branch, response: Response) -> list[Effect]:
        """A server takes no new request: try the others of its name, or the spare flows of the same device."""
        if isinstance(branch.target, ServerTarget):
            branch.ways = tuple([way for way in branch.ways if isinstance(way[0], ServerTarget)])  # the server lives
        return self._try_next_way(branch, response)

    def _provisional(self, branch: Branch, number: int, response: Response) -> list[Effect]:
        """Forward every provisional response except 100. Send a CANCEL that waited for one (RFC 3261 section 9.1).

        For other methods than INVITE, only 100 is allowed (RFC 4320 section 4.1), so nothing is forwarded.
        """
        if branch.state is BranchState.CALLING:
            branch.state = BranchState.PROCEEDING
            if self.invite and self.ended:
                branch.state = BranchState.CANCELLING
                return [Cancel(number, self.reasons)]
        if response.status == 100 or not self.invite or self.answered or branch.state is BranchState.DONE:  # noqa: PLR2004 - Trying
            return (
                [SendResponse(respond(self.request, 100))]
                if self.by_token and self.invite and not self.answered
                else []
            )
        return [SendResponse(response)]

    def _success(self, branch: Branch, response: Response) -> list[Effect]:
        """Forward a 2xx at once; for INVITE every 2xx. The other branches of an INVITE are cancelled."""
        branch.state = BranchState.DONE
        if self.answered and not self.invite:
            return []
        self.answered = True
        self.waiting = []
        if not self.invite:
            return [SendResponse(response)]
        return [SendResponse(response), *self._cancel_running(ELSEWHERE)]

    def _global_failure(self, status: int) -> list[Effect]:
        """End the search after a 6xx: no new branch starts, and the running branches are cancelled."""
        self.waiting.clear()
        return self._cancel_running((f'SIP;cause={status};text="Refused elsewhere"',)) + self._next()

    def _cancel_running(self, reasons: tuple[str, ...] = ()) -> list[Effect]:
        """Cancel each INVITE branch that has got a provisional response. The others are cancelled when they get one."""
        if not self.invite:
            return []
        self.reasons = reasons
        effects: list[Effect] = []
        for number, branch in self.branches.items():
            if branch.state is BranchState.PROCEEDING:
                branch.state = BranchState.CANCELLING
                effects.append(Cancel(number, reasons))
        return effects

    def _next(self) -> list[Effect]:
        if not self.running:
            return self.start()
        return [AwaitSilent()] if self._waits_for_silent else []

    def _conclude(self) -> list[Effect]:
        """Give the best final response, unless a final response was sent.

        "A transaction-stateful SIP element MUST NOT send a response with Status-Code of 408 to a non-INVITE request" (RFC
        4320 section 4.2): its sender has a timeout too.
        """
        if self.answered:
            return []
        self.answered = True
        if not self.invite and self.best is not None and self.best.status == REQUEST_TIMEOUT:
            return [Silence()]
        if self.cancelled and (self.best is None or self.best.status < 600):  # noqa: PLR2004 - global failure
            return [SendResponse(respond(self.request, 487))]
        if self.best is None:
            raise LocalError(f"{self.request.method} has no targets and no response")
        return [SendResponse(self._with_all_challenges(self.best))]

    def _consider(self, response: Response) -> None:
        """Keep the better response (RFC 3261 section 16.7 item 6) and every challenge (item 7)."""
        field_name = CHALLENGES.get(response.status)
        if field_name:
            self._keep_challenges(field_name, response.values(field_name))
        if self.best is None or self.is_weak or rank(response.status) < rank(self.best.status):
            self.best, self.is_weak = response, False

    def _consider_of(self, branch: Branch, response: Response) -> None:
        """Keep the better response; that of a server which does not know the device gives way to any other."""
        if not isinstance(branch.target, ServerTarget) or not branch.target.asks or response.status != NOT_FOUND:
            self._consider(response)
        elif self.best is None:
            self.best, self.is_weak = response, True

    def _keep_challenges(self, field_name: str, values: list[str]) -> None:
        """Keep challenges up to the limits, so that one branch cannot make the response too large."""
        self.challenged += len(values)
        left = MAX_CHALLENGE_OCTETS - sum([len(octets_of(value)) for _, value in self.challenges])
        for value in values:
            size = len(octets_of(value))
            if size <= left and len(self.challenges) < MAX_CHALLENGES:
                self.challenges.append((field_name, value))
                left -= size

    def _with_all_challenges(self, response: Response) -> Response:
        """Give *response* with the challenges of all branches that were kept (RFC 3261 section 16.7 item 7)."""
        if response.status not in CHALLENGES or self.challenged <= 1 or not self.challenges:
            return response
        merged = response.copy()
        for name in CHALLENGES.values():
            merged.remove(name)
        for name, value in self.challenges:
            merged.append(name, value)
        return merged


def explained(request: Request, status: int) -> Response:
    """Make our own response to *request*, with a Warning that says what happened (RFC 3261 section 20.43)."""
    return respond(request, status, headers=(("Warning", f'399 sipmesh "{WHY[status]}"'),))


def lost_status(target: Target) -> int:
    """Give the status for the sender of the request if the way to *target* is lost.

    - 503: a server cannot be reached, even if its user was also looked up here. 404 if it was only asked.
    - 430: a flow that another server or a dialog named by its token has failed (RFC 5626 section 5.3.1).
    - 480: the flow of a registered user is gone.
    """
    if isinstance(target, ServerTarget):
        return NOT_FOUND if target.asks else SERVICE_UNAVAILABLE
    if isinstance(target, FlowTarget) and target.past:
        return SERVICE_UNAVAILABLE
    named = isinstance(target, FlowTarget) and target.found is not Found.ROW
    return FLOW_FAILED if named else TEMPORARILY_UNAVAILABLE


def overloaded(response: Response) -> Response:
    """Change a 503 of the next hop into a 500.

    "A proxy which receives a 503 (Service Unavailable) response SHOULD NOT forward it upstream unless it can determine that
    any subsequent requests it might proxy will also generate a 503" (RFC 3261 section 16.7). With a 503 the sender would stop
    sending requests to us.
    """
    changed = response.copy()
    changed.status, changed.reason = SERVER_INTERNAL_ERROR, "Next Server Unavailable"
    changed.remove("retry-after")
    return changed


def rank(status: int) -> tuple[int, int, int]:
    """Give the sort key of a final response, best first: any 6xx, then the lowest class, then PREFERRED responses.

    480 and 408 come last in their class: we make them ourselves for a lost flow or a timeout, and a real response says more.
    """
    kind = 0 if status >= 600 else status // 100  # noqa: PLR2004 - global failure
    helpful = PREFERRED.index(status) if status in PREFERRED else len(PREFERRED)
    return kind, helpful, 1 if status in {REQUEST_TIMEOUT, TEMPORARILY_UNAVAILABLE} else 0
