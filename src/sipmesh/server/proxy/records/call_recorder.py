"""Makes the records of this process: of each call and message whose sender this server knows, once its end is known.

One server of the network makes the record of a call: a front end of the home pool of a user who calls, the edge for a caller of a
partner, the front end for an application. All other servers get the request from one of these.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Final

from sipmesh.routing.call_rules.diversion import NOT_DIVERTED, Chain
from sipmesh.routing.target import ServerTarget, server_of
from sipmesh.server.proxy.message_refusals import RECORDED
from sipmesh.server.proxy.records.carried_by import carried_by, is_in_the_clear
from sipmesh.server.proxy.records.known_caller import LOGIN, Known, known_caller
from sipmesh.server.proxy.records.record_maker import RecordMaker
from sipmesh.server.proxy.records.told_request import named, told_json
from sipmesh.server.proxy.records.up_calls import LOST_S, UpCall, UpCalls
from sipmesh.sip.message import respond
from sipmesh.sip.rows import RECORD_ROUTE
from sipmesh.sip.status import FIRST_REDIRECTION, Status
from sipmesh.sip.text_cache import short_key
from sipmesh.storage.call_records.journal_entry import NULL, JournalEntry, quoted
from sipmesh.storage.call_records.json_time import duration
from sipmesh.trust.evidence import LinkKind
from sipmesh.trust.role import BORDERS, Role

if TYPE_CHECKING:
    from sipmesh.routing.events.quality_report import QualityReport
    from sipmesh.routing.proxy.response_context import ResponseContext
    from sipmesh.routing.registrar.binding import Binding
    from sipmesh.server.in_force.in_force import Current
    from sipmesh.server.proxy.flow import Flow, ProxiedRequest, ReceivedRequest, SentBranch
    from sipmesh.server.proxy.message_refusals import MessageRefusals
    from sipmesh.server.proxy.records.record_buffer import RecordBuffer
    from sipmesh.server.proxy.registrar.registrations import Registrations
    from sipmesh.sip.message import Request, Response
    from sipmesh.storage.call_records.call_record import CallRecord

RECORDING: Final = frozenset({Role.FRONT_END, *BORDERS})
"""Roles of the servers that make records."""

ENDED: Final = quoted("ended by BYE")
CANCELLED: Final = "the caller has hung up before an answer"
GONE: Final = "the link of the caller has closed before an answer"
FORGOTTEN: Final = quoted("too many calls are up: it is not known when this one has ended")
LONG_AGO: Final = quoted(
    "its server has restarted since, and no BYE has passed: it is not known when the call has ended"
)

RESTORED_S: Final = 4 * 3_600.0
"""Seconds for which a call is awaited that was up when the process before this one has ended."""

SWEPT_AT_ONCE: Final = 200
MOST_DIALOGS: Final = 16
"""Dialogs of one call: an INVITE may be forked, and each phone that accepts it begins a dialog."""

MOST_OF_USER: Final = 3_000
"""Records that one user may cause in a minute at one process: the disk and the database are for all users."""


class CallRecorder:
    """The records of one process. *names* are those of the server and of this process; *clock* gives loop time, *wall* Unix time.

    *is_on* says whether the topology in force asks for records: a message costs only this look if not.
    """

    def __init__(
        self,
        names: tuple[str, str],
        current: Current,
        buffer: RecordBuffer,
        refusals: MessageRefusals,
        registrations: Registrations,
        most_up: int,
        clock: Callable[[], float],
        wall: Callable[[], float],
    ) -> None:
        self._server, begun = names[0], wall()
        self._current, self.buffer = current, buffer
        self._maker = RecordMaker(names, begun, refusals)
        self._registrations, self._most_up, self._clock, self._wall = registrations, most_up, clock, wall
        self.up = UpCalls()
        self.is_on = False
        self._restored_until = 0.0
        self._minute, self._of_users = 0, dict[str, int]()
        self.follow()

    def follow(self) -> None:
        """Begin or end to make records, as the version in force says; calls that are up get theirs."""
        view = self._current.value.view
        self.is_on = view.loaded.topology.call_records is not None and view.role in RECORDING

    # Final responses

    def answered(self, proxied: ProxiedRequest, response: Response) -> None:
        """A request has its final response."""
        request, context = proxied.request, proxied.context
        if request.method not in RECORDED or request.to.tag is not None:
            return
        who = known_caller(proxied.flow, request, proxied.identity, heard=context is not None and context.heard)
        if who is None:
            return
        is_cancelled = context is not None and context.cancelled and response.status >= FIRST_REDIRECTION
        following = "" if response.present & RECORD_ROUTE else _next_server(context)
        now = self._wall()
        started = now - max(0.0, self._clock() - proxied.began)
        why = CANCELLED if is_cancelled else ""
        chain = _chain_of(proxied, response)
        trunks, is_clear, trunk = self._current.value.trunks, False, ""
        if trunks is not None:
            is_clear, trunk = is_in_the_clear(response), carried_by(response)
            trunk = trunk if trunk in trunks.trunks else ""
        entry = self._maker.entry(
            request, who, response, started, now, following, why, "", chain, trunk, in_the_clear=is_clear
        )
        self.add(entry, who)
        if entry.is_up:
            self._begin(entry, proxied, response, now)

    def refused(self, received: ReceivedRequest, response: Response, why: str, code: str) -> None:
        """This server has answered a request itself, because of *why*."""
        request = received.request
        if request.method in RECORDED and request.to.tag is None:
            who = known_caller(received.flow, request, None, heard=False)
            if who is not None:
                now = self._wall()
                self.add(self._maker.entry(request, who, response, now, now, "", why, code), who)

    def abandoned(self, proxied: ProxiedRequest) -> None:
        """The link of a caller has closed before the final response."""
        request = proxied.request
        if proxied.begins_call and not proxied.is_answered:
            who = known_caller(proxied.flow, request, proxied.identity, heard=True)
            if who is not None:
                now, following = self._wall(), _next_server(proxied.context)
                started = now - max(0.0, self._clock() - proxied.began)
                response = respond(request, Status.REQUEST_TERMINATED)
                self.add(self._maker.entry(request, who, response, started, now, following, GONE, ""), who)

    def _begin(self, entry: JournalEntry, proxied: ProxiedRequest, response: Response, now: float) -> None:
        """Know a call that is up."""
        sent = _answering(proxied, response)
        if sent is None or self.up.has(sent.dialog):  # the same call came by this server once more
            return
        if len(self.up) >= self._most_up:
            self._close(self.up.remove_oldest(), FORGOTTEN, is_known=False)
        links = tuple([flow.number for flow in (proxied.flow, sent.flow) if _is_of_client(flow)])
        proxied.dialog = sent.dialog
        self.up.add(UpCall(entry, sent.dialog, now, links, proxied, sent, response.without_body()))

    def forked(self, proxied: ProxiedRequest, key: str) -> None:
        """A 2xx of the dialog *key* has come to an INVITE that was answered: if it is new, the call has one dialog more."""
        call = self.up.by_key.get(proxied.dialog)
        if call is not None and not self.up.has(key) and len(call.dialogs) < MOST_DIALOGS:
            self.up.fork(call, key)

    def reported(self, request: Request, identity: str, report: QualityReport) -> None:
        """The user *identity* has published a report of the quality of a call."""
        self.add(self._maker.report(request, identity, report, self._wall()), (identity, LOGIN))

    def add(self, entry: JournalEntry, who: Known) -> None:
        """Have a record written, unless its user causes more than `MOST_OF_USER`: these are counted as lost."""
        if who[1] == LOGIN:
            minute = int(self._clock()) // 60
            if minute != self._minute:
                self._minute, self._of_users = minute, {}
            count = self._of_users.get(who[0], 0)
            self._of_users[who[0]] = count + 1
            if count >= MOST_OF_USER:
                self.buffer.leave_out()
                return
        self.buffer.add(entry)

    # The end of a call

    def ended(self, key: str, call_id: str = "") -> None:
        """The dialog *key* has ended at this process, or at another one of this server.

        *call_id* names a call that was up before this process has started, and whose tags are not known.
        """
        if self.up.has(key):
            self._close(self.up.end_dialog(key), ENDED)
        elif self._restored_until and call_id:
            self._close(self.up.end_dialog(short_key(call_id)), ENDED)

    def ended_by(self, call: UpCall, who: str) -> None:
        """The operator *who* has ended a call."""
        self._close(self.up.remove(call), told_json(f"ended by the operator {who}"))

    def link_down(self, flow: Flow) -> None:
        """A client's link has closed; another server may have carried it."""
        if self.up.by_key:
            self.up.link_down(flow.number, named(min(flow.users)) if flow.users else "", self._clock())

    def sweep(self, now: float) -> None:
        """Record the end of calls whose phones have not come back; called about twice a second."""
        if not self.up.by_key:
            return
        for key, call in self.up.lost_before(now - LOST_S)[:SWEPT_AT_ONCE]:
            lost = LostCall(self, call, self._wall() - (now - call.lost_at), call.lost_for)
            self.up.await_return(key)
            self._registrations.look_up(f"sip:{call.lost_for}", lost.looked_up)
        if self._restored_until and now >= self._restored_until:
            self._restored_until = 0.0
            for call in self.up:
                if call.invite is None:
                    self._close(self.up.remove(call), LONG_AGO, is_known=False)

    def lost(self, lost: LostCall) -> None:
        """The phone of a call has not come back: the call was over when its link has closed."""
        why = told_json(f"the link of {lost.user} has closed, and did not come back")
        self._close(self.up.remove(lost.call), why, at=lost.at)

    def _close(self, call: UpCall | None, why: str, *, at: float = 0.0, is_known: bool = True) -> None:
        """Have the end of a call written; *why* is JSON."""
        if call is None:
            return
        end = at or self._wall()
        seconds = duration(end - call.answered) if is_known and call.answered else NULL
        self.buffer.add(call.entry.ended(self._maker.times.instant(end), seconds, why))

    # The process before this one

    def restore(self, records: Iterable[CallRecord]) -> None:
        """Know the calls again that were up when the process before this one has ended: their BYE may still pass here.

        Among *records* may be calls of an edge, which are up there.
        """
        for record in records:
            if record.server == self._server:
                answered = record.answer.timestamp() if record.answer is not None else 0.0
                self.up.add(UpCall(record.entry(), short_key(record.call_id), answered))
        if len(self.up):
            self._restored_until = self._clock() + RESTORED_S


def _is_of_client(flow: Flow) -> bool:
    return flow.link.kind is LinkKind.CLIENT or flow.carrier is not None


def _answering(proxied: ProxiedRequest, response: Response) -> SentBranch | None:
    """Give the branch that *response*, a 2xx to an INVITE, has come on: that of its To tag, or else the last one."""
    found: SentBranch | None = None
    if len(proxied.sent) == 1:
        return next(iter(proxied.sent.values()))
    for sent in proxied.sent.values():
        found = sent
        if sent.answered is not None and sent.answered.tag == response.to.tag:
            break
    return found


def _chain_of(proxied: ProxiedRequest, response: Response) -> Chain:
    """Give who of ours has forwarded a call to the phone that has answered, or else to the phone called last."""
    context = proxied.context
    if context is None or not context.branches:
        return NOT_DIVERTED
    last = context.branches[len(context.branches) - 1]
    if not last.chain or response.status >= FIRST_REDIRECTION:
        return last.chain
    sent = _answering(proxied, response)
    return context.branches[sent.number].chain if sent is not None else last.chain


def _next_server(context: ResponseContext | None) -> str:
    """Give the server that a request has gone to last; "" if it has gone to a phone, or nowhere."""
    if context is None or not context.branches:
        return ""
    target = context.branches[len(context.branches) - 1].target
    if isinstance(target, ServerTarget):
        return target.names[0]
    return server_of(target, "")


class LostCall:
    """A call of *recorder* whose phone, of *user*, has lost its link at the Unix time *at*, and may have come back."""

    __slots__ = ("_recorder", "at", "call", "user")

    def __init__(self, recorder: CallRecorder, call: UpCall, at: float, user: str) -> None:
        self._recorder, self.call, self.at, self.user = recorder, call, at, user

    def looked_up(self, rows: Sequence[Binding] | None) -> None:
        """The registrations of the user were read; where they cannot be, the call goes on until its BYE."""
        if rows is not None and not rows:
            self._recorder.lost(self)
