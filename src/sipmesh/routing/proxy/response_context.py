"""The response context of a forked request (RFC 3261 16.7 to 16.9): the running branches, and the responses to send."""

from __future__ import annotations

from sipmesh.errors import LocalError
from sipmesh.routing.call_rules.call_rules import CallRules
from sipmesh.routing.call_rules.diversion import NOT_DIVERTED, Chain, Reason, chain_in
from sipmesh.routing.call_rules.handling import CallHandling
from sipmesh.routing.outcome import RETRY_AFTER_S, Answer, Forward, Otherwise, Screening, Store
from sipmesh.routing.proxy.best_response import BestResponse
from sipmesh.routing.proxy.branch_attempt import Branch, BranchState, Way, ways_to
from sipmesh.routing.proxy.branch_kinds import (
    ELSEWHERE,
    FLOW_IS_DEAD,
    GRACE_S,
    NO_ANSWER,
    TIMED_OUT,
    TRUNK_HAS_FAILED,
    by_rank,
    has_other_pools,
    has_other_trunks,
    is_beside,
    is_of_group,
    is_to_gateways,
    is_to_our_server,
)
from sipmesh.routing.proxy.breadth import DEFAULT_BREADTH, breadth_of, narrowed
from sipmesh.routing.proxy.effects import (
    AwaitAnswer,
    AwaitSilent,
    Cancel,
    DecideAgain,
    Divert,
    Effect,
    EndScreening,
    Forget,
    SendResponse,
    Silence,
    Start,
)
from sipmesh.routing.proxy.own_responses import (
    explained,
    lost_status,
    of_beside,
    of_member,
    overloaded,
    ring_time_in,
    unanswered,
    wants_beside,
)
from sipmesh.routing.target import FlowTarget, Found, RemoteFlowTarget, ServerTarget, Target, is_carried
from sipmesh.sip.message import Request, Response, respond
from sipmesh.sip.status import (
    FIRST_CLIENT_ERROR,
    FIRST_FINAL,
    FIRST_GLOBAL_FAILURE,
    FIRST_REDIRECTION,
    FIRST_SERVER_FAILURE,
    FLOW_FAILED,
    SERVICE_UNAVAILABLE,
    TRYING,
    Status,
)
from sipmesh.trust.evidence import LinkKind


class ResponseContext:
    """Collects the responses to one request, and decides what to do. It has no clock and no socket."""

    __slots__ = (
        "answered",
        "asked",
        "asks",
        "best",
        "branches",
        "by_token",
        "cancelled",
        "ended_by_itself",
        "finding",
        "handling",
        "heard",
        "held",
        "invite",
        "progressed",
        "reasons",
        "request",
        "screening",
        "share",
        "unreached",
        "waiting",
    )

    def __init__(self, request: Request, waiting: list[tuple[Target, ...]], otherwise: Otherwise = None) -> None:
        self.request, self.waiting = request, waiting
        self.unreached = otherwise if isinstance(otherwise, Store) else None
        self.handling = otherwise if isinstance(otherwise, CallHandling) else None
        self.screening = otherwise if isinstance(otherwise, Screening) else None
        self.finding = 0  # targets that are being found, to which the rules of a callee forward the call
        self.asked: CallHandling | None = None  # what rings because another home pool has asked for it
        self.held: Divert | None = None  # where its call goes if nothing of that answers
        self.asks = False  # this server has asked the first one to have others ring
        self.heard = False  # something has answered, or may have the request
        self.progressed = False  # the application that screens the call talks to the caller, or has let the call on
        self.ended_by_itself = False  # that application has sent a final response; its link was not lost
        self.invite = request.method == "INVITE"  # then every 2xx is forwarded
        self.branches: dict[int, Branch] = {}
        self.best: BestResponse | None = None
        self.answered = self.cancelled = self.by_token = False
        self.reasons: tuple[str, ...] = ()
        self.share = 0  # the Max-Breadth of the branches that start; 0 leaves the field of the request as it is

    @staticmethod
    def of(request: Request, targets: tuple[Target, ...], otherwise: Otherwise = None) -> ResponseContext:
        """Group *targets* by q, highest first. A group runs in parallel; the next group starts when all of it failed.

        *by_token*: another server of the pool has sent the request to a flow of ours. It has answered the caller with 100, and
        needs to know whether the phone answers. So it gets the 100 of the phone in place of ours.

        A group larger than Max-Breadth, which must not be 0, is split (RFC 5393 section 5.3.3). *otherwise* is as in `Forward`.
        """
        if len(targets) == 1:
            context, target = ResponseContext(request, [targets], otherwise), targets[0]
            context.by_token = isinstance(target, FlowTarget) and (
                target.found is Found.TOKEN or target.found is Found.PATH
            )
            return context
        return ResponseContext(request, narrowed(by_rank(targets), breadth_of(request)), otherwise)

    @property
    def running(self) -> bool:
        """Whether a branch may still answer, or will start; a branch that was left as silent counts again once it responds."""
        if self.finding:
            return True
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
            and not self.best.is_weak
            and self.best.status not in {Status.REQUEST_TIMEOUT, Status.TEMPORARILY_UNAVAILABLE}
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
        return self.cancelled or self.answered or (self.best is not None and self.best.status >= FIRST_GLOBAL_FAILURE)

    def start(self) -> list[Effect]:
        """Start the next group of targets; if there is none, give the final response."""
        if not self.waiting or self.cancelled:
            return self._conclude()
        group = self.waiting.pop()
        if len(group) > 1 or self.share:
            self.share = breadth_of(self.request) // len(group)
        chain = self.handling.chain if self.handling is not None else NOT_DIVERTED
        if self.screening is not None:
            chain = self.screening.onward.chain
        started: list[Effect] = [self._start(ways_to(target), chain) for target in group]
        awaits = len(group) == 1 and (
            has_other_trunks(group[0]) or has_other_pools(group[0]) or self.screening is not None
        )
        return [*started, AwaitSilent(restarts=self.screening is not None)] if self.invite and awaits else started

    def responded(self, number: int, response: Response) -> list[Effect]:
        """Process a response on the branch *number*."""
        branch = self.branches[number]
        if response.status != FLOW_FAILED:
            self.heard = True
        if response.status < FIRST_FINAL:
            return self._provisional(branch, number, response)
        if response.status < FIRST_REDIRECTION:
            return self._success(branch, response)
        if branch.state is BranchState.DONE:
            return []
        branch.state = BranchState.DONE
        if is_beside(branch.chain) and not FIRST_CLIENT_ERROR <= response.status < FIRST_GLOBAL_FAILURE:
            # It speaks for no other user, and leads the call nowhere.
            response = of_beside(self.request, branch.chain, response)
        self.ended_by_itself = not branch.late
        if response.status < FIRST_CLIENT_ERROR and self._may_follow(branch, response):
            return self._follow(Divert(branch.chain, response, branch.target), response)
        return self._failed(branch, response)

    def _follow(self, wanted: Divert, redirection: Response) -> list[Effect]:
        """Follow a redirection. What rings beside for another home pool rings on, unless that pool has waited in vain."""
        effects: list[Effect] = []
        if self.asked is not None and self.running:
            if Reason.NO_ANSWER not in [one.reason for one in chain_in(redirection, "")]:
                self.held = wanted
                return self._next()
            effects = list(self._end_running(NO_ANSWER))
        self.finding, self.asked = self.finding + 1, None
        return [*effects, wanted]

    def challenged(self, number: int, response: Response) -> list[Effect]:
        """A trunk has challenged this server on the branch *number*: send the request there again, once, with credentials.

        *response* stands for the challenge, if it is the second one.
        """
        branch = self.branches[number]
        if branch.authorized or branch.late or branch.state is BranchState.DONE or self.ended:
            return self.responded(number, response)
        self.heard, branch.state = True, BranchState.DONE
        start = self._start(((branch.target, branch.name), *branch.ways), branch.chain)
        self.branches[start.number].authorized = True
        return [start]

    def _failed(self, branch: Branch, response: Response) -> list[Effect]:
        """Process the final response of a branch that has failed."""
        if response.status == FLOW_FAILED and isinstance(branch.target, RemoteFlowTarget):
            return [
                Forget(branch.target),
                *self._try_next_way(branch, explained(self.request, Status.TEMPORARILY_UNAVAILABLE)),
            ]
        if response.status == FLOW_FAILED and isinstance(branch.target, ServerTarget):
            branch.ways = tuple(
                [way for way in branch.ways if isinstance(way[0], FlowTarget)]
            )  # the user may be here now
            if branch.ways and not self.ended:
                self._consider_of(branch, response)
                return [self._start(branch.ways, branch.chain)]
        if response.status == SERVICE_UNAVAILABLE:
            response = overloaded(response, is_ours=is_to_our_server(branch.target))
            if not isinstance(branch.target, FlowTarget):
                return self._past_server(branch, response)
        if response.status in FLOW_IS_DEAD and self._has_spare(branch):
            return self._try_next_way(branch, response)
        has_next = bool(branch.ways) and (has_other_trunks(branch.target) or is_to_gateways(branch.target))
        if response.status in TRUNK_HAS_FAILED and has_next and not branch.late:
            to_gateways = is_to_gateways(branch.target)
            return self._next_pool(branch, response) if to_gateways else self._next_trunk(branch, response)
        if not branch.late:  # a late branch was already counted as a 408
            if self.screening is not None:
                self.best = None  # this server decides for the application, and those before it have not
            self._consider_of(branch, response)
        # An application that did not decide in time is too late: its next server decides, or the phones ring without it.
        is_left = branch.late and isinstance(branch.target, ServerTarget) and bool(branch.target.through)
        is_global = response.status >= FIRST_GLOBAL_FAILURE and not is_left
        return self._global_failure(response.status) if is_global else self._next()

    def lost(self, number: int) -> list[Effect]:
        """Process the loss of a branch's link, or a link that could not be opened: try each alternative once.

        A request that got a provisional response has arrived, and is not sent again.
        """
        branch = self.branches[number]
        if branch.state is BranchState.DONE:
            return []
        if branch.state is not BranchState.CALLING:
            branch.ways = ()
        branch.state, self.ended_by_itself = BranchState.DONE, False
        again = branch.target.again if isinstance(branch.target, ServerTarget) else None
        if again is not None and not branch.ways and not self.ended:
            self.answered = True
            return [DecideAgain(again)]
        return self._try_next_way(branch, explained(self.request, lost_status(branch.target)))

    def timed_out(self, number: int) -> list[Effect]:
        """Process the timeout of a branch (timers B, C and F): it counts as a 408. Another flow of the same device is tried.

        "If the client transaction has received a provisional response, the proxy MUST generate a CANCEL request" (RFC 3261
        section 16.8). Then its final response is awaited for one more timer, but not for an application that has not decided.
        """
        self.heard = True
        branch = self.branches[number]
        if branch.state is BranchState.DONE:
            return []
        if not branch.late and branch.state is BranchState.CALLING and self._has_spare(branch):
            branch.late, branch.state = True, BranchState.DONE
            return [self._start(branch.ways, branch.chain)]
        if not branch.late:
            branch.late, branch.ways = True, ()
            self._consider(explained(self.request, Status.REQUEST_TIMEOUT))
            if self.invite and branch.state is BranchState.PROCEEDING:
                decides = self.screening is not None and not self.progressed
                branch.state = BranchState.DONE if decides else BranchState.CANCELLING
                return [Cancel(number, TIMED_OUT), *(self._next() if decides else ())]
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

        Another flow of the same device is tried. A phone that sends a response later is cancelled.
        """
        started = self._leave_silent_trunk()
        if not self._waits_for_silent:
            return started
        for branch in list(self.branches.values()):
            if branch.state is BranchState.CALLING and not branch.late:
                branch.late = True
                if self._has_spare(branch):
                    started.append(self._start(branch.ways, branch.chain))
        return [*started, *self._next()]

    def _leave_silent_trunk(self) -> list[Effect]:
        """Try the next trunk, or server of an application that screens the call, if the last one has not answered at all.

        It is cancelled if it sends a response later. Without a next one, the search ends here if the front end can try another
        gateway pool, and for an application.
        """
        branch = self.branches[len(self.branches) - 1]
        is_silent = branch.state is BranchState.CALLING and not branch.late and not self.ended
        has_next = bool(branch.ways) and (has_other_trunks(branch.target) or self.screening is not None)
        if not is_silent or not (has_next or has_other_pools(branch.target) or self.screening is not None):
            return []
        branch.late = True
        self._consider(explained(self.request, Status.REQUEST_TIMEOUT))
        if not has_next:
            return self._next()
        ways, branch.ways = branch.ways, ()
        return [*self._end_screening_at(branch), self._start(ways, branch.chain), AwaitSilent(restarts=True)]

    def _next_trunk(self, branch: Branch, response: Response) -> list[Effect]:
        """Try the next trunk after a trunk that has failed; *response* counts if the next trunk has no response."""
        self._consider_of(branch, response)
        return self._next() if self.ended else [self._start(branch.ways, branch.chain), AwaitSilent(restarts=True)]

    def _next_pool(self, branch: Branch, response: Response) -> list[Effect]:
        """All trunks of a gateway pool have failed: try the next pool. Other servers of the same pool have the same trunks."""
        target = branch.target
        if isinstance(target, ServerTarget):
            pool_of = dict(zip(target.names, target.pools, strict=True))
            branch.ways = tuple([way for way in branch.ways if pool_of.get(way[1]) != pool_of.get(branch.name)])
        return self._try_next_way(branch, response)

    def _has_spare(self, branch: Branch) -> bool:
        """Tell whether another flow of the same device may be tried."""
        return bool(branch.ways) and not self.ended and not isinstance(branch.target, ServerTarget)

    def cancel(self, reasons: tuple[str, ...] = ()) -> list[Effect]:
        """Process the sender's CANCEL (RFC 3261 section 16.10): cancel each branch, with the same *reasons*."""
        self.cancelled = True
        self.waiting.clear()
        effects = [*self._end_screening(), *self._cancel_running(reasons)]
        if self.finding:
            self.finding = 0
            effects += self._next()
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

    def _start(self, ways: tuple[Way, ...], chain: Chain, *, past: bool = False) -> Start:
        number = len(self.branches)
        target, name = ways[0]
        branch = self.branches[number] = Branch(ways[0], ways[1:], chain)
        branch.past = past
        return Start(number, target, name, past=past, chain=chain)

    def _try_next_way(self, branch: Branch, response: Response) -> list[Effect]:
        """Try the next way of *branch*. If there is none, *response* is the response of this branch."""
        if branch.ways and not self.ended:
            return [*self._end_screening_at(branch), self._start(branch.ways, branch.chain)]
        self._consider_of(branch, response)
        return self._next()

    def _past_server(self, branch: Branch, response: Response) -> list[Effect]:
        """A server takes no new request: try the others of its name, or the spare flows of the same device.

        A partner is one name with several addresses. Another one is tried once (RFC 3263 section 4.3).
        """
        if isinstance(branch.target, ServerTarget):
            if branch.ways and has_other_trunks(branch.target) and not branch.late:
                return self._next_trunk(branch, response)
            if branch.target.kind is LinkKind.PARTNER and not branch.past and not self.ended:
                self._consider_of(branch, response)
                return [self._start(((branch.target, branch.target.names[0]),), branch.chain, past=True)]
            branch.ways = tuple([way for way in branch.ways if isinstance(way[0], ServerTarget)])  # the server lives
        return self._try_next_way(branch, response)

    def _provisional(self, branch: Branch, number: int, response: Response) -> list[Effect]:
        """Forward every provisional response except 100. Send a CANCEL that waited for one (RFC 3261 section 9.1).

        For other methods than INVITE, only 100 is allowed (RFC 4320 section 4.1), so nothing is forwarded.
        """
        if branch.state is BranchState.CALLING:
            branch.state = BranchState.PROCEEDING
            if self.invite and (self.ended or branch.over or (branch.late and isinstance(branch.target, ServerTarget))):
                branch.state = BranchState.CANCELLING
                return [Cancel(number, self.reasons)]
        if branch.over:
            return []
        if self.screening is not None and response.status > TRYING and branch.state is BranchState.PROCEEDING:
            self.progressed = True
        if response.status == Status.CALL_IS_BEING_FORWARDED and response.has("diversion"):
            if self._asks_for_beside(branch, response):  # its Contact, the target of a rule, is not for the caller
                return self._ring_beside(branch, response) if self._may_ring_beside(branch, response) else []
            response = response.copy()
            response.remove("diversion")  # a phone, a partner or a trunk speaks for no user of ours
        if response.status == TRYING or not self.invite or self.answered or branch.state is BranchState.DONE:
            return (
                [SendResponse(respond(self.request, 100))]
                if self.by_token and self.invite and not self.answered
                else []
            )
        return [SendResponse(response)]

    def _asks_for_beside(self, branch: Branch, response: Response) -> bool:
        """Tell whether a 181 may be that of a home pool of ours that wants others to ring too: who it is, `Divert` finds out."""
        target, chain = branch.target, chain_in(response, "")
        is_ours = isinstance(target, ServerTarget) and target.kind is LinkKind.SERVER
        return is_ours and is_beside(chain) and not is_of_group(chain)

    def _may_ring_beside(self, branch: Branch, response: Response) -> bool:
        """Tell whether what a 181 asks for may ring: the call goes on, and has room."""
        has_room = len(self.branches) + self.finding < DEFAULT_BREADTH
        return has_room and not (is_beside(branch.chain) or self.answered) and self._may_follow(branch, response)

    def _ring_beside(self, branch: Branch, response: Response) -> list[Effect]:
        """Find what a home pool wants to ring beside its user, for as long as it says (RFC 3261 section 20.10, expires)."""
        self.finding += 1
        effects: list[Effect] = [Divert(branch.chain, response, branch.target)]
        if self.asked is None:
            seconds = ring_time_in(response)
            self.asked = CallHandling(branch.name, CallRules(ring_s=seconds + GRACE_S if seconds else 0), branch.chain)
            effects += [AwaitAnswer(self.asked)] if seconds else []
        return effects

    def _success(self, branch: Branch, response: Response) -> list[Effect]:
        """Forward a 2xx at once; for INVITE every 2xx. The other branches of an INVITE are cancelled."""
        branch.state = BranchState.DONE
        if self.answered and not self.invite:
            return []
        self.answered = True
        self.waiting, self.best = [], None
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
        over = self._end_screening()
        further = [] if self.cancelled else self._call_further()
        if further:  # what goes past the application ends the screening itself: it asks whether the call was let on
            return [*over, *further] if self.screening is not None else further
        self.answered, self.screening = True, None
        if self.unreached is not None and not self.heard and not self.cancelled:
            return [DecideAgain(self.unreached)]
        if not self.invite and self.best is not None and self.best.status == Status.REQUEST_TIMEOUT:
            return [Silence()]
        return [*over, SendResponse(self._final())]

    def _end_screening(self) -> list[Effect]:
        return [] if self.screening is None or self.answered else [EndScreening(self.screening)]

    def _end_screening_at(self, branch: Branch) -> list[Effect]:
        """Have the server of an application that screens the call not let it on: the call goes to the next one."""
        return [] if self.screening is None else [EndScreening(self.screening, branch.name)]

    def _final(self) -> Response:
        if self.cancelled and (self.best is None or self.best.status < FIRST_GLOBAL_FAILURE):
            return respond(self.request, Status.REQUEST_TERMINATED)
        if self.best is None and self.handling is not None:
            return unanswered(self.request)
        if self.best is None:
            raise LocalError(f"{self.request.method} has no targets and no response")
        return self.best.merged()

    # What the rules of the callee say

    def _call_further(self) -> list[Effect]:
        """Call where the rules say, now that nothing rings any more; [] if they say nothing."""
        if self.held is not None:
            wanted, self.held, self.asked, self.best = self.held, None, None, None
            self.finding += 1
            return [wanted]
        if self.screening is not None:
            return self._past_application(self.screening)
        if self.handling is None:
            return []
        others = self.handling.after_refusals()
        if others is not None:
            return self._ring(others)
        following = self.handling.after(self.best.status if self.best is not None else 480)
        return self._divert(following) if following is not None else []

    def _past_application(self, screening: Screening) -> list[Effect]:
        """Have the phones ring without the application that is away, if the topology says so; else refuse, and say why.

        The refusal is 503 if the application cannot be reached, so that a server before us tries the other servers of this pool.
        Otherwise it is 500: the application would let each of them wait.
        """
        status = self.best.status if self.best is not None else SERVICE_UNAVAILABLE
        has_rung_out = self.progressed and status == Status.REQUEST_TIMEOUT
        is_away = status == Status.REQUEST_TIMEOUT or FIRST_SERVER_FAILURE <= status < FIRST_GLOBAL_FAILURE
        if has_rung_out or not is_away:
            return []
        self.finding, self.best, self.screening = self.finding + 1, None, None
        user = screening.onward
        if screening.passes:
            failed_with = status if self.ended_by_itself else 0
            return [Divert(user.chain, onward=user, screening=screening, failed_with=failed_with)]
        why = f"{screening.pool}, which screens the calls to {user.aor}, does not answer"
        refusal = status if status == SERVICE_UNAVAILABLE else Status.SERVER_INTERNAL_ERROR
        refused = Answer(refusal, headers=(("Retry-After", RETRY_AFTER_S),), why=why)
        return [Divert(NOT_DIVERTED, onward=refused, screening=screening)]

    def begin(self) -> list[Effect]:
        """Start the first group of targets for as long as the rules of the callee say, and find what rings at the same time."""
        if self.handling is None:
            return self.start()
        found: list[Effect] = [Divert(chain) for chain in self.handling.besides()]
        self.finding += len(found)
        found += [AwaitAnswer(self.handling)] if self.handling.ring_s else []
        return [*self.start(), *found] if self.waiting else found

    def rung_out(self, handling: CallHandling) -> list[Effect]:
        """The phones have rung for as long as the rules of *handling* say: cancel them, and call where the rules say."""
        if not self.ended and handling is self.asked:
            self.asked = None
            return [*self._end_running(NO_ANSWER, only_beside=True), *self._next()]
        if self.ended or handling is not self.handling:
            return []
        following, others = handling.unanswered(), handling.after_ring()
        effects: list[Effect] = list(self._end_running(NO_ANSWER))
        self.waiting.clear()
        if others is not None:
            return [*effects, *self._ring(others)]
        self.handling = None
        if following is not None:
            return [*effects, *self._divert(following)]
        self._consider(unanswered(self.request))
        return [*effects, *self._next()]

    def _ring(self, others: CallHandling) -> list[Effect]:
        """Have the next members of a group ring."""
        self.handling = others
        return self.begin()

    def diverted(self, forward: Forward) -> list[Effect]:
        """Call the targets of *forward*, which were found for `Divert`."""
        if not self.finding:
            return []
        self.finding -= 1
        if self.ended:
            return self._next()
        handling = forward.otherwise if isinstance(forward.otherwise, CallHandling) else None
        if handling is not None and is_beside(handling.chain):
            running = sum([branch.state is not BranchState.DONE for branch in self.branches.values()])
            self.share = breadth_of(self.request) // (running + len(forward.targets))
            targets = forward.targets if self.share else ()
            return [self._start(ways_to(target), handling.chain) for target in targets] or self._next()
        if len(self.branches) + len(forward.targets) > DEFAULT_BREADTH:  # an ended branch counts: it may redirect
            self._consider(explained(self.request, Status.MAX_BREADTH_EXCEEDED))
            return self._next()
        self.handling, self.progressed = handling, False
        self.screening = forward.otherwise if isinstance(forward.otherwise, Screening) else None
        self.waiting = narrowed(by_rank(forward.targets), breadth_of(self.request))
        return self.begin()

    def not_diverted(self, wanted: Divert, response: Response) -> list[Effect]:
        """Go on without the target that was *wanted*; *response* says why, and counts unless other phones ring.

        The 302 for a target that rings beside is for the first server: it rings there, and the phones ring on here.
        """
        if not self.finding:
            return []
        self.finding -= 1
        if is_of_group(wanted.chain):
            self._consider_member(response)
        elif is_beside(wanted.chain):
            if response.status == Status.MOVED_TEMPORARILY and not self.ended:
                seconds, self.asks = self.handling.ring_s if self.handling is not None else 0, True
                return [SendResponse(wants_beside(self.request, response, seconds)), *self._next()]
        elif wanted.redirection is None or wanted.redirection.status >= FIRST_FINAL:
            self._consider(response)
        return self._next()

    def _may_follow(self, branch: Branch, response: Response) -> bool:
        """Tell whether a redirection is followed here if it is of a phone or a home pool of ours.

        Of a call that another server of the pool has sent to a flow, that server knows who was called.
        """
        is_over = self.ended or branch.late or self.by_token or is_carried(branch.target)
        return self.invite and not is_over and self.request.to.tag is None and bool(response.contacts)

    def _divert(self, chain: Chain) -> list[Effect]:
        """Have the target at the end of *chain* found; earlier answers are ignored."""
        self.finding, self.best, self.handling = self.finding + 1, None, None
        return [Divert(chain, by_first=self.asks)]

    def _end_running(self, reasons: tuple[str, ...], *, only_beside: bool = False) -> list[Cancel]:
        """Cancel what rings, without waiting for it: its final response does not count, unless it is a 2xx.

        *only_beside*: only what rings beside a user.
        """
        cancelled: list[Cancel] = []
        for number, branch in self.branches.items():
            if only_beside and not is_beside(branch.chain):
                continue
            if branch.state is BranchState.PROCEEDING:
                branch.state = BranchState.CANCELLING
                cancelled.append(Cancel(number, reasons))
            branch.ways, branch.late, branch.over = (), True, True
        return cancelled

    def _consider(self, response: Response) -> None:
        """Keep the better response, and every challenge; nothing once the final response was sent."""
        if self.answered:
            return
        if self.best is None:
            self.best = BestResponse(response)
        else:
            self.best.consider(response)

    def _consider_member(self, response: Response) -> None:
        """Keep whether a member of the group is busy."""
        found = of_member(self.request, response)
        if not self.answered and (self.best is None or found.status == Status.BUSY_HERE):
            self.best = BestResponse(found)

    def _consider_of(self, branch: Branch, response: Response) -> None:
        """Keep the better response; that of a server which does not know the device gives way to any other."""
        if is_of_group(branch.chain):
            self._consider_member(response)
        elif (
            not isinstance(branch.target, ServerTarget) or not branch.target.asks or response.status != Status.NOT_FOUND
        ):
            self._consider(response)
        elif self.best is None and not self.answered:
            self.best = BestResponse(response, is_weak=True)
