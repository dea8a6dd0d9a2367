"""Carries out what `serving.step` says of each request, and gives it the answers to what it asks: the core of the proxy."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from sipmesh.errors import RemoteError, SipmeshError
from sipmesh.routing.authentication.digest import Proved
from sipmesh.routing.outcome import Answer, Drop, Forward, Prove, Register, Serve, Store, ToMembers
from sipmesh.server.proxy.dialog_key import dialog_of
from sipmesh.server.proxy.flow import ReceivedRequest, RequestServer
from sipmesh.server.proxy.login.login_waits import PendingLogin
from sipmesh.server.proxy.serving.call_forwarding import for_caller
from sipmesh.server.proxy.serving.call_groups import group_of
from sipmesh.server.proxy.serving.effects import (
    AskControlPlane,
    AwaitLogin,
    CloseCarriedLink,
    CloseLink,
    EndCall,
    EndCarriedFlow,
    ForwardAck,
    HandOver,
    JudgeIdentity,
    ReadBindings,
    RefuseForOctets,
    RefuseForUsers,
    RefuseUnstored,
)
from sipmesh.server.proxy.serving.events import (
    Answered,
    BindingsRead,
    Diverting,
    Event,
    IdentityJudged,
    LoggedIn,
    LoginDue,
    LoginGivenUp,
    MembersReached,
    MessageStored,
    NotOfControlPlane,
    TargetsLost,
)
from sipmesh.server.proxy.serving.screened_calls import LEFT, use_up
from sipmesh.server.proxy.serving.step import step
from sipmesh.server.quotas.usage import BRANCH_OCTETS
from sipmesh.sip.status import Status
from sipmesh.storage.messages import Storing

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sipmesh.routing.outcome import Screening, ToUser
    from sipmesh.routing.proxy.effects import Divert
    from sipmesh.routing.registrar.binding import Binding
    from sipmesh.routing.target import AnotherNotifier
    from sipmesh.server.in_force.in_force import Current
    from sipmesh.server.proxy.calls.call_release import CallRelease
    from sipmesh.server.proxy.calls.identity_service import IdentityService
    from sipmesh.server.proxy.events.event_server import EventServer
    from sipmesh.server.proxy.flow import ProxiedRequest
    from sipmesh.server.proxy.login.digest_auth import DigestAuth
    from sipmesh.server.proxy.login.login_waits import LoginWaits
    from sipmesh.server.proxy.outside import Outside
    from sipmesh.server.proxy.relay import Relay
    from sipmesh.server.proxy.responder import Responder
    from sipmesh.server.proxy.serving.state import ServingState
    from sipmesh.server.proxy.transactions.ack_forwarder import AckForwarder
    from sipmesh.sip.message import Response

ENDED: Final = Answer(Status.OK)

Act = Callable[[ReceivedRequest, Any], Answered | None]
"""Carries out one effect of a request, and gives what has happened by it at once, if anything has."""


class ProxyCore(RequestServer):
    """Serves the requests of one process. *clock* gives loop time in seconds.

    Each effect is one call of the part that carries it out; each answer that comes later is one event of the next step.
    """

    def __init__(
        self,
        *,
        current: Current,
        state: ServingState,
        clock: Callable[[], float],
        relay: Relay,
        acks: AckForwarder,
        release: CallRelease,
        responder: Responder,
        events: EventServer,
        logins: DigestAuth,
        login_waits: LoginWaits,
        identity: IdentityService,
        outside: Outside,
    ) -> None:
        self._current, self.state, self._clock = current, state, clock
        self._relay, self.responder, self._events = relay, responder, events
        self._acks, self._release = acks, release
        self._logins, self._login_waits, self._identity = logins, login_waits, identity
        self._outside, self._transactions = outside, relay.server_transactions
        self._acts = self._table()

    def drain(self) -> None:
        """Refuse each request outside dialogs from now on, those among them that wait for their login."""
        self.state.is_draining = True
        self._login_waits.give_up()
        self._events.drain()

    # Events

    def take(self, received: ReceivedRequest, event: Event) -> None:
        """Serve a request: *event* is its arrival, or what has happened to it. Raises `SipmeshError`, as the parts do."""
        now = self._clock()
        following: Event | None = event
        while following is not None:
            effect = step(self.state, self._current.value, following, now)
            if type(effect) is Forward:  # the most frequent one
                self._relay.forward(self._transactions.begin(received), effect)
                return
            following = self._acts[type(effect)](received, effect)

    def take_later(self, event: Answered) -> None:
        """Go on with a request that has waited; its errors are handled here, as `Dispatch.arrived` does."""
        received = event.received
        try:
            self.take(received, event)
        except RemoteError as wrong:
            self.responder.refuse_malformed(received.flow, received.request, wrong)
        except SipmeshError as wrong:
            self.responder.refuse_failed(received.flow, received.request, wrong)

    def take_answer(self, waiting: ProxiedRequest, event: Answered) -> None:
        """Go on with a request whose transaction waits, unless it was taken back, or its link has closed."""
        if waiting.flow.served.get(waiting.key) is waiting:
            self._transactions.drop(waiting)
            self.take_later(event)

    def login_due(self, pending: PendingLogin) -> None:
        """See `LoginHandler`."""
        self.take_later(LoginDue(pending.received, pending.aor))

    def login_given_up(self, pending: PendingLogin) -> None:
        """See `LoginHandler`."""
        self.take_later(LoginGivenUp(pending.received))

    def begin(self, received: ReceivedRequest) -> ProxiedRequest:
        """See `RequestServer`."""
        return self._transactions.begin(received)

    def registration_ended(self, waiting: ProxiedRequest, response: Response) -> None:
        """See `RequestServer`."""
        self._transactions.answer(waiting, response)

    def has_registered(self, aor: str) -> None:
        """See `RequestServer`: what waits for *aor* is delivered."""
        self._events.registered(aor)

    def targets_lost(self, proxied: ProxiedRequest, what: AnotherNotifier | Store) -> None:
        """See `RequestServer`."""
        self.take_answer(proxied, TargetsLost(proxied.received, what))

    def divert(self, proxied: ProxiedRequest, wanted: Divert) -> None:
        """See `RequestServer`."""
        self.find_target(proxied, Diverting(proxied.received, proxied.identity, wanted))

    def screening_ended(self, screening: Screening, server: str) -> None:
        """See `RequestServer`."""
        use_up(self.state, LEFT + server if server else screening.pool, screening.token)

    def find_target(self, proxied: ProxiedRequest, event: Diverting) -> None:
        """Find the target of a call that rings; its registrations may have to be read. The call rings on if there is none."""
        wanted = event.wanted
        try:
            found = step(self.state, self._current.value, event, self._clock())
        except RemoteError as wrong:
            found = Answer(Status.TEMPORARILY_UNAVAILABLE, why=str(wrong))
        if isinstance(found, Forward):
            self._relay.diverted(proxied, found)
        elif isinstance(found, ReadBindings):
            awaited = AwaitedTarget(self, proxied, event, found.user)
            self.state.registrations.look_up(found.user.aor, awaited.read)
        elif isinstance(found, Answer):
            response = for_caller(self._current.value, found, wanted) or self.responder.refusal(proxied, found)
            self._relay.not_diverted(proxied, wanted, response)

    # Effects

    def _table(self) -> dict[type, Act]:
        """Give what carries out each effect, except `Forward`."""
        return {
            Answer: self.responder.answer,
            Drop: self.responder.drop,
            RefuseForOctets: self.responder.refuse_for_octets,
            RefuseForUsers: self.responder.refuse_for_users,
            RefuseUnstored: self.responder.refuse_unstored,
            Register: self._register,
            ForwardAck: self._forward_ack,
            EndCall: self._end_call,
            CloseLink: self._close_link,
            ReadBindings: self._read_bindings,
            Store: self._store,
            ToMembers: self._send_to_members,
            Serve: self._notify,
            HandOver: self._hand_over,
            AskControlPlane: self._ask_control_plane,
            AwaitLogin: self._await_login,
            Prove: self._check_credentials,
            JudgeIdentity: self._judge_identity,
            EndCarriedFlow: self._end_carried_flow,
            CloseCarriedLink: self._close_carried_link,
        }

    def _forward_ack(self, received: ReceivedRequest, effect: ForwardAck) -> None:
        dialog = dialog_of(received.request, received.place.ends)
        self._acks.forward(received.flow, received.request, effect.forward, dialog)

    def _end_call(self, received: ReceivedRequest, effect: EndCall) -> None:
        self.responder.refusals.record(received.flow, received.request, effect.refused)
        dialog = dialog_of(received.request, received.place.ends)
        self._release.end_call(received.flow, received.request, effect.forward, dialog)

    def _close_link(self, received: ReceivedRequest, effect: CloseLink) -> None:
        received.flow.link.close(effect.why)

    def _register(self, received: ReceivedRequest, effect: Register) -> None:
        response = self.state.registrations.register(received, effect.aor)
        if response is not None:
            self._transactions.answered["REGISTER"][response.status // 100] += 1
            self.responder.reply(received, response)

    def _read_bindings(self, received: ReceivedRequest, effect: ReadBindings) -> None:
        """Meanwhile the request is a branch of its sender: so no sender takes all places of requests that wait for the store."""
        waiting = self._wait(received)
        waiting.account.add(1, 0)
        self.state.registrations.look_up(effect.user.aor, AwaitedBindings(self, waiting, effect.user).read)

    def _store(self, received: ReceivedRequest, effect: Store) -> None:
        awaited = AwaitedStore(self, self._wait(received), effect)
        storing = self._events.storing
        storing.store(storing.written(received.request, effect.identity), effect.aor, awaited.ended)

    def _send_to_members(self, received: ReceivedRequest, effect: ToMembers) -> None:
        """Send a MESSAGE to the members of a group, and answer it once that has ended for all of them."""
        refused = self._events.groups.refused(effect.identity)
        if refused is not None:
            self.responder.answer(received, refused)
            return
        waiting, members = self._wait(received), len(effect.members)

        def reached(missed: int) -> None:
            self.take_answer(waiting, MembersReached(received, members, missed))
            if missed < members and self._events.history.is_on:
                self._events.history.add(received, effect.identity, "", effect.aor)

        def has_stored(member: str) -> None:
            self._events.has_stored(member)
            if self._events.history.is_on:
                self._events.history.add_received(received.request, effect.identity, member, effect.aor)

        self._events.groups.send(received.request, effect, has_stored, reached)

    def _wait(self, received: ReceivedRequest) -> ProxiedRequest:
        """Begin the transaction of a request that waits: a CANCEL, or the end of the link, finds it."""
        waiting = self._transactions.begin(received)
        waiting.hold(len(received.request.body) + BRANCH_OCTETS)
        return waiting

    def stored(self, waiting: ProxiedRequest, effect: Store, result: Storing) -> None:
        """Answer a MESSAGE that was stored, or was not; deliver it, if its user has registered meanwhile."""
        received = waiting.received
        self.take_answer(waiting, MessageStored(received, effect.aor, result))
        if result is not Storing.STORED:
            return
        self._events.has_stored(effect.aor)
        sender = received.flow.sender
        if self._events.history.is_on and sender is not None:
            group = group_of(self._current.value, sender, received.request, effect.aor)
            self._events.history.add(received, effect.identity, effect.aor, group)

    def _notify(self, received: ReceivedRequest, effect: Serve) -> None:
        """Have the notifier answer; the NOTIFY of a new subscription follows the answer."""
        notifier, request = self._events.notifier, received.request
        if self._events.history.takes(request):
            self._erase_history(received, effect)
            return
        if self._events.quality.takes(request):
            self.responder.answer(received, self._events.quality.serve(request, effect.identity))
            return
        response = notifier.serve(received.flow, request, effect.aor, effect.identity)
        if isinstance(response, Answer):
            self.responder.answer(received, response)
        else:
            self.responder.reply(received, response)
        notifier.answered(request, effect.aor, response)

    def _erase_history(self, received: ReceivedRequest, effect: Serve) -> None:
        """Answer a PUBLISH that erases once that is done."""
        waiting = self._wait(received)

        def done(answer: Answer) -> None:
            if waiting.flow.served.get(waiting.key) is waiting:
                self._transactions.answer(waiting, self.responder.refusal(waiting, answer))

        self._events.history.erase(received.request, effect.aor, effect.identity, done)

    def _hand_over(self, received: ReceivedRequest, effect: HandOver) -> None:
        self.state.siblings.hand_over(received.flow, received.request, effect.aor)

    def _ask_control_plane(self, received: ReceivedRequest, effect: AskControlPlane) -> NotOfControlPlane | None:
        is_served = self._outside.control_plane.requested(received.flow.link, effect.peer, received.request)
        return None if is_served else NotOfControlPlane(received)

    def _await_login(self, received: ReceivedRequest, effect: AwaitLogin) -> LoginDue | None:
        waits = self._login_waits.has_to_wait(PendingLogin(received, effect.aor, self))
        return None if waits else LoginDue(received, effect.aor)

    def _check_credentials(self, received: ReceivedRequest, effect: Prove) -> LoggedIn | None:
        flow, request, aor = received.flow, received.request, effect.aor
        result = self._logins.check(flow, request, aor)
        if isinstance(result, Proved):
            return LoggedIn(received)
        if result is None:
            self._logins.bearer.ask(PendingLogin(received, aor, self))
            return None
        response = self._logins.refuse(flow, request, aor, result)
        if response is not None:
            self.responder.reply(received, response)
        return None

    def _judge_identity(self, received: ReceivedRequest, effect: JudgeIdentity) -> IdentityJudged:
        refused = self._identity.judge(received.flow, received.request, effect.forward.identity)
        return IdentityJudged(received, effect.forward, refused)

    def _end_carried_flow(self, received: ReceivedRequest, effect: EndCarriedFlow) -> None:
        self.state.home_flows.end(effect.flow)
        self.responder.answer(received, ENDED)

    def _close_carried_link(self, received: ReceivedRequest, effect: CloseCarriedLink) -> None:
        if effect.flow is not None:
            effect.flow.link.close("its home pool has ended it")
        self.responder.answer(received, ENDED)


class AwaitedBindings:
    """The registrations of *user* that are being read for the request *waiting*."""

    __slots__ = ("_core", "_user", "_waiting")

    def __init__(self, core: ProxyCore, waiting: ProxiedRequest, user: ToUser) -> None:
        self._core, self._waiting, self._user = core, waiting, user

    def read(self, rows: Sequence[Binding] | None) -> None:
        """They were read; None if that was not possible."""
        waiting = self._waiting
        waiting.account.add(-1, 0)
        self._core.take_answer(waiting, BindingsRead(waiting.received, self._user, rows))


class AwaitedTarget:
    """The registrations of *user*, to whom the call *waiting* is forwarded, as *event* says."""

    __slots__ = ("_core", "_event", "_user", "_waiting")

    def __init__(self, core: ProxyCore, waiting: ProxiedRequest, event: Diverting, user: ToUser) -> None:
        self._core, self._waiting, self._event, self._user = core, waiting, event, user

    def read(self, rows: Sequence[Binding] | None) -> None:
        """They were read; None if that was not possible."""
        event = self._event
        read = BindingsRead(event.received, self._user, rows)
        self._core.find_target(self._waiting, Diverting(event.received, event.identity, event.wanted, read))


class AwaitedStore:
    """The MESSAGE *waiting* that is being stored as *effect* says."""

    __slots__ = ("_core", "_effect", "_waiting")

    def __init__(self, core: ProxyCore, waiting: ProxiedRequest, effect: Store) -> None:
        self._core, self._waiting, self._effect = core, waiting, effect

    def ended(self, result: Storing) -> None:
        """It was stored, or *result* says why not."""
        self._core.stored(self._waiting, self._effect, result)
