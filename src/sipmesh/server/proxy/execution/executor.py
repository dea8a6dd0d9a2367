"""Carries out what `routing` has decided about a request: an answer, a registration, or branches to other servers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sipmesh.errors import RemoteError, SipmeshError
from sipmesh.routing.identity.border import IN_REQUESTS
from sipmesh.routing.identity.sender import ServerSender
from sipmesh.routing.media.judgement import NEGOTIATES
from sipmesh.routing.outcome import (
    Answer,
    Drop,
    Forward,
    Outcome,
    Prove,
    Register,
    Serve,
    Store,
    ToContact,
    ToUser,
    try_later,
)
from sipmesh.routing.proxy.branch import carried_loop
from sipmesh.routing.target import is_carried
from sipmesh.server.proxy.events.notifier import UNKNOWN
from sipmesh.server.proxy.flow import Decider
from sipmesh.server.quotas.usage import BRANCH_OCTETS
from sipmesh.storage.messages import Storing
from sipmesh.trust.code import Code
from sipmesh.trust.evidence import LinkKind

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sipmesh.routing.registrar.binding import Binding
    from sipmesh.routing.target import AnotherNotifier
    from sipmesh.server.in_force.in_force import Current
    from sipmesh.server.proxy.calls.call_release import CallRelease
    from sipmesh.server.proxy.calls.identity_service import IdentityService
    from sipmesh.server.proxy.calls.media_guard import MediaGuard
    from sipmesh.server.proxy.events.event_server import EventServer
    from sipmesh.server.proxy.execution.phone_events import PhoneEvents
    from sipmesh.server.proxy.execution.responder import Responder
    from sipmesh.server.proxy.execution.user_targets import UserTargets
    from sipmesh.server.proxy.flow import Flow, ProxiedRequest
    from sipmesh.server.proxy.login.login_waits import PendingLogin
    from sipmesh.server.proxy.other_processes import OtherProcesses
    from sipmesh.server.proxy.registrar.registrations import Registrations
    from sipmesh.server.proxy.relay import Relay
    from sipmesh.server.proxy.transactions.ack_forwarder import AckForwarder
    from sipmesh.server.quotas.limited_log import LimitedLog
    from sipmesh.server.quotas.principals import Principals
    from sipmesh.server.quotas.usage import Usage
    from sipmesh.sip.message import Request

MOVED: Final = try_later("another pool serves the user now, and this link closes when its call has ended")

NO_REGISTRATIONS: Final = try_later("the registrations of the user cannot be read")

EVENTS_OF_PHONES: Final = frozenset({"SUBSCRIBE", "NOTIFY", "REFER"})

WHY_NOT: Final = {
    Storing.USER_FULL: "too many messages are stored for this user, of all senders or of this one, or it is too large",
    Storing.SENDER_FULL: "too many messages of this sender are stored",
    Storing.FAILED: "the database of the stored messages cannot be used, or is too slow",
}
"""Why a MESSAGE is not stored, for the log. Its sender gets 480: the user is not registered."""


class Executor(Decider):
    """Carries out decisions: *targets* finds users, *responder* answers here, *relay* forwards."""

    def __init__(
        self,
        *,
        current: Current,
        relay: Relay,
        acks: AckForwarder,
        release: CallRelease,
        registrations: Registrations,
        events: EventServer,
        targets: UserTargets,
        phone_events: PhoneEvents,
        responder: Responder,
        accounts: Principals,
        log: LimitedLog,
        media: MediaGuard,
        identity: IdentityService,
        siblings: OtherProcesses,
    ) -> None:
        self._current, self._relay, self._registrations, self._events = current, relay, registrations, events
        self._targets, self._phone_events, self._responder = targets, phone_events, responder
        self._accounts, self._log = accounts, log
        self._media, self._identity = media, identity
        self._siblings = siblings
        self._transactions, self._acks, self._release = relay.server_transactions, acks, release

    def __repr__(self) -> str:
        return f"<Executor {self._responder!r}>"

    def carry_out(self, flow: Flow, request: Request, key: str, outcome: Outcome, loop: str) -> None:
        """Do what was decided about a request; *key* is its transaction, *loop* its hash for loop detection."""
        if isinstance(outcome, ToContact):
            outcome = self._targets.at_contact(request, outcome)
        if isinstance(outcome, ToUser):
            outcome, home = self._targets.owned(outcome)
            found = self._targets.find(flow, request, outcome, home)
            if found is None:
                self._look_up(flow, request, key, outcome, loop)
                return
            outcome = found
        if isinstance(outcome, Forward):
            self._forward(flow, request, key, outcome, loop)
        elif isinstance(outcome, Answer):
            self._responder.answer(flow, request, key, outcome)
        else:
            self._serve_here(flow, request, key, outcome)

    def carry_login(self, pending: PendingLogin, outcome: Forward | Answer) -> None:
        """Forward a REGISTER to the home pool of its user, which judges the login; or refuse it."""
        flow, request, key = pending.flow, pending.request, pending.key
        if isinstance(outcome, Answer):
            self._responder.answer(flow, request, key, outcome)
            return
        proxied = self._transactions.open(flow, request, key)
        proxied.registers = pending.aor
        self._relay.forward(proxied, outcome, carried_loop(pending.loop), self)

    def _serve_here(self, flow: Flow, request: Request, key: str, outcome: Outcome) -> None:
        """Do what is done with a request that ends at this server."""
        if isinstance(outcome, Register) and self._current.value.homes.elsewhere(outcome.aor):
            self._responder.answer(flow, request, key, MOVED)
        elif isinstance(outcome, Register):
            response = self._registrations.register(flow, request, key, outcome.aor, self._transactions)
            if response is not None:
                self._transactions.answered["REGISTER"][response.status // 100] += 1
                self._responder.reply(flow, request, key, response)
        elif isinstance(outcome, Store):
            self._store(flow, request, key, outcome)
        elif isinstance(outcome, Serve):
            self._notify(flow, request, key, outcome)
        elif isinstance(outcome, Prove):
            self._responder.answer(
                flow, request, key, Answer(403, code=Code.NOT_AUTHENTICATED, why=f"not {outcome.aor}")
            )
        elif isinstance(outcome, Drop):
            self._log.debug("dropped", link=flow.link.id, method=request.method, why=outcome.why)

    def _look_up(self, flow: Flow, request: Request, key: str, outcome: ToUser, loop: str) -> None:
        """Read the registrations of a user, and go on then; meanwhile a CANCEL or the end of the link finds the request.

        It counts as a branch of its sender, so that nobody takes all places of requests that wait for the store.
        """
        waiting = self._transactions.open(flow, request, key)
        waiting.hold(len(request.body) + BRANCH_OCTETS)
        account = waiting.account
        account.add(1, 0)

        def found(held: Sequence[Binding] | None) -> None:
            account.add(-1, 0)
            self._found(waiting, outcome, loop, held)

        self._registrations.look_up(outcome.aor, found)

    def _found(self, waiting: ProxiedRequest, outcome: ToUser, loop: str, held: Sequence[Binding] | None) -> None:
        """Go on with a request whose user was looked up, unless it was taken back or its link has closed."""
        flow, request, key = waiting.flow, waiting.request, waiting.key
        if flow.served.get(key) is not waiting:
            return
        self._transactions.drop(waiting)
        self._go_on(
            flow,
            request,
            key,
            loop,
            lambda: NO_REGISTRATIONS if held is None else self._targets.at_bindings(request, outcome, held),
        )

    def _go_on(self, flow: Flow, request: Request, key: str, loop: str, decide: Callable[[], Outcome]) -> None:
        """Carry out what *decide* gives for a request that has waited; errors of the request are handled here."""
        try:
            self.carry_out(flow, request, key, decide(), loop)
        except RemoteError as wrong:
            self._responder.refuse_malformed(flow, request, wrong)
        except SipmeshError as wrong:
            self._responder.refuse_failed(flow, request, wrong)

    def decide_again(self, proxied: ProxiedRequest, what: AnotherNotifier | Store) -> None:
        """Serve a SUBSCRIBE or PUBLISH whose notifier cannot be reached, here or at the next server; store a MESSAGE.

        A subscription that it had is lost with it: the phone subscribes again after a 481 (RFC 6665 section 4.1.2.2).
        """
        flow, request, key = proxied.flow, proxied.request, proxied.key
        if flow.served.get(key) is not proxied:
            return  # its link has closed
        self._transactions.drop(proxied)
        if isinstance(what, Store):
            self._go_on(flow, request, key, proxied.loop, lambda: what)
            return
        is_lost = request.to.tag is not None
        self._go_on(
            flow, request, key, proxied.loop, lambda: UNKNOWN if is_lost else self._events.chosen(request, what)
        )

    def _notify(self, flow: Flow, request: Request, key: str, outcome: Serve) -> None:
        """Give a request to the notifier; the NOTIFY of a new subscription follows the answer."""
        if self._siblings.hand_over(flow, request, outcome.aor):
            return
        if self._account(flow, request, key, outcome.identity) is None:
            return
        notifier = self._events.notifier
        response = notifier.serve(flow, request, outcome.aor, outcome.identity)
        if isinstance(response, Answer):
            self._responder.answer(flow, request, key, response)
        else:
            self._responder.reply(flow, request, key, response)
        notifier.answered(request, outcome.aor, response)

    def _store(self, flow: Flow, request: Request, key: str, outcome: Store) -> None:
        """Store a MESSAGE for its user, and answer once it is on disk; meanwhile the end of the link finds the request."""
        if request.present & IN_REQUESTS and flow.sender is not None:
            self._current.value.border.admit_request(request, flow.sender)
        account = self._account(flow, request, key, outcome.identity)
        if account is None:
            return
        waiting = self._transactions.open(flow, request, key)
        waiting.account = account
        waiting.hold(len(request.body) + BRANCH_OCTETS)
        self._events.store(
            request, outcome.aor, outcome.identity, lambda result: self._stored(waiting, outcome, result)
        )

    def _stored(self, waiting: ProxiedRequest, outcome: Store, result: Storing) -> None:
        """Answer a MESSAGE that was stored, or was not."""
        flow, request, key = waiting.flow, waiting.request, waiting.key
        if flow.served.get(key) is not waiting:
            return
        self._transactions.drop(waiting)
        if result is Storing.STORED:
            self._responder.answer(flow, request, key, Answer(202))
            return
        self._log.warning(
            flow.account.name, "message not stored", link=flow.link.id, to=outcome.aor, why=WHY_NOT[result]
        )
        self._responder.answer(flow, request, key, Answer(480))

    def _account(self, flow: Flow, request: Request, key: str, identity: str | None) -> Usage | None:
        """Give the account of a request's sender; None if it is full, which is answered."""
        if flow.link.kind is not LinkKind.SERVER:
            return flow.account
        account = self._accounts.carried(flow.account, identity, request)
        full = account.first_full()
        if full is None:
            return account
        self._responder.answer(flow, request, key, self._responder.over_its_limit(flow, request, full))
        return None

    def _forward(self, flow: Flow, request: Request, key: str, outcome: Forward, loop: str) -> None:
        if is_carried(outcome.targets[0]):
            self._carry(flow, request, key, outcome, loop)
            return
        if request.present & IN_REQUESTS and flow.sender is not None:
            self._current.value.border.admit_request(request, flow.sender)
        negotiates = request.method in NEGOTIATES and (request.body or request.method == "INVITE")
        if negotiates and not self._may_negotiate(flow, request, key, outcome):
            return
        if request.method == "ACK":
            self._acks.forward(flow, request, outcome)
            return
        if request.method in EVENTS_OF_PHONES:
            refused = self._phone_events.refused(flow, request, outcome)
            if refused is not None:
                self._responder.answer(flow, request, key, refused)
                return
        account = self._account(flow, request, key, outcome.identity)
        if account is None:
            return
        proxied = self._transactions.open(flow, request, key)
        proxied.account = account
        self._relay.forward(proxied, outcome, loop, self)

    def _may_negotiate(self, flow: Flow, request: Request, key: str, outcome: Forward) -> bool:
        """Judge the media of a request and its signed identity, and sign it; a refusal is sent."""
        refused = self._media.refused(flow, request, outcome)
        if refused is None and not self._identity.is_idle:
            refused = self._identity.refused(flow, request)
        if refused is not None:
            self._refuse_media(flow, request, key, outcome, refused)
            return False
        if not self._identity.is_idle:
            self._identity.sign(flow, request)
        return True

    def _carry(self, flow: Flow, request: Request, key: str, outcome: Forward, loop: str) -> None:
        """Forward between a user's link here and the user's home pool, which judges what passes."""
        if request.present & IN_REQUESTS and isinstance(flow.sender, ServerSender):
            self._current.value.border.admit_request(request, flow.sender)
        if request.method == "ACK":
            self._acks.forward(flow, request, outcome)
            return
        account = self._account(flow, request, key, outcome.identity)
        if account is not None:
            proxied = self._transactions.open(flow, request, key)
            proxied.account = account
            self._relay.forward(proxied, outcome, carried_loop(loop), self)

    def _refuse_media(self, flow: Flow, request: Request, key: str, outcome: Forward, refused: Answer) -> None:
        """Refuse a request for its media. An ACK has no response, so its call is ended with both sides."""
        if request.method == "ACK":
            self._responder.record(flow, request, refused)
            self._release.end_call(flow, request, outcome)
        else:
            self._responder.answer(flow, request, key, refused)
