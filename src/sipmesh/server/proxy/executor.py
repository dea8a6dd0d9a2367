"""Carries out what `routing` has decided about a request: an answer, a registration, or branches to other servers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sipmesh.errors import RemoteError, SipmeshError
from sipmesh.routing.authentication.verifier import user_of
from sipmesh.routing.events.reference import EARLY_REFERENCE, refused_reference
from sipmesh.routing.identity.border import IN_REQUESTS
from sipmesh.routing.identity.dialog_token import owner_hash
from sipmesh.routing.identity.sender import ServerSender
from sipmesh.routing.media.judgement import NEGOTIATES
from sipmesh.routing.outcome import (
    RETRY_AFTER_S,
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
from sipmesh.routing.proxy.effects import Start
from sipmesh.routing.proxy.target_set import fork
from sipmesh.routing.roles.front_end import to_home
from sipmesh.routing.target import FlowTarget, ServerTarget, is_carried
from sipmesh.server.proxy.events.notifier import UNKNOWN
from sipmesh.server.proxy.relay import Decider
from sipmesh.server.proxy.transactions.message_size import is_too_long
from sipmesh.server.quotas.usage import BRANCH_OCTETS
from sipmesh.sip.message import respond
from sipmesh.sip.text import shown
from sipmesh.sip.transaction.key import server_key
from sipmesh.storage.messages import Storing
from sipmesh.trust.code import Code
from sipmesh.trust.evidence import LinkKind
from sipmesh.trust.role import Role

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sipmesh.routing.identity.border import Border
    from sipmesh.routing.identity.sender import Sender
    from sipmesh.routing.registrar.binding import Binding
    from sipmesh.routing.target import AnotherNotifier, Target
    from sipmesh.server.proxy.calls.call_release import CallRelease
    from sipmesh.server.proxy.calls.identity_service import IdentityService
    from sipmesh.server.proxy.calls.media_guard import MediaGuard
    from sipmesh.server.proxy.events.event_server import EventServer
    from sipmesh.server.proxy.flow import Flow, ProxiedRequest
    from sipmesh.server.proxy.flow_table import FlowTable
    from sipmesh.server.proxy.login.home_pools import HomePools
    from sipmesh.server.proxy.message_refusals import MessageRefusals
    from sipmesh.server.proxy.registrar.registrations import Registrations
    from sipmesh.server.proxy.relay import Relay
    from sipmesh.server.proxy.siblings.siblings import Siblings
    from sipmesh.server.proxy.transactions.ack_forwarder import AckForwarder
    from sipmesh.server.quotas.limited_log import LimitedLog
    from sipmesh.server.quotas.principals import Principals
    from sipmesh.server.quotas.usage import Usage
    from sipmesh.sip.message import Request, Response
    from sipmesh.topology.view import ServerView

DRAINING: Final = try_later("this server is draining")
NO_USERS_YET: Final = try_later("management has not sent the users yet")
EVENT_METHODS: Final = frozenset({"SUBSCRIBE", "PUBLISH"})

MOVED: Final = try_later("another pool serves the user now, and this link closes when its call has ended")
NOT_TAKEN_OVER: Final = try_later("the servers of the home pool still answer here, or have answered a short time ago")

NO_REGISTRATIONS: Final = try_later("the registrations of the user cannot be read")

TOO_LARGE: Final = 513

EVENTS_OF_PHONES: Final = frozenset({"SUBSCRIBE", "NOTIFY", "REFER"})

WHY_NOT: Final = {
    Storing.USER_FULL: "too many messages are stored for this user, of all senders or of this one, or it is too large",
    Storing.SENDER_FULL: "too many messages of this sender are stored",
    Storing.FAILED: "the database of the stored messages cannot be used, or is too slow",
}
"""Why a MESSAGE is not stored, for the log. Its sender gets 480: the user is not registered."""


class Executor(Decider):
    """Carries out decisions under *view*, the topology in force; *border* is computed from *view*."""

    def __init__(
        self,
        *,
        view: ServerView,
        border: Border,
        relay: Relay,
        acks: AckForwarder,
        release: CallRelease,
        flow_table: FlowTable,
        registrations: Registrations,
        events: EventServer,
        homes: HomePools,
        refusals: MessageRefusals,
        accounts: Principals,
        log: LimitedLog,
        media: MediaGuard,
        identity: IdentityService,
    ) -> None:
        self._view, self._border = view, border
        self._flow_table = flow_table
        self._relay, self._registrations, self._events, self._homes = relay, registrations, events, homes
        self._refusals, self._accounts, self._log = refusals, accounts, log
        self._media, self._identity = media, identity
        self.siblings: Siblings | None = None
        self._transactions, self._acks, self._release = relay.server_transactions, acks, release
        relay.decider = self

    def __repr__(self) -> str:
        return f"<Executor {self._refusals!r}>"

    def attach_siblings(self, siblings: Siblings) -> None:
        """Use the links of the other processes of this server from now on, and keep what is refused to them."""
        self.siblings, siblings.refused = siblings, self._refusals.record

    def apply_view(self, view: ServerView, border: Border) -> None:
        """Use another topology from now on."""
        self._view, self._border = view, border
        self._relay.requests.border = border

    def carry_out(self, flow: Flow, request: Request, key: str, outcome: Outcome, loop: str) -> None:
        """Do what was decided about a request; *key* is its transaction, *loop* its hash for loop detection."""
        if isinstance(outcome, ToContact):
            outcome = self._to_contact(request, outcome)
        if isinstance(outcome, ToUser):
            outcome = self._to_owner(outcome)
            found = self._to_user(flow, request, outcome)
            if found is None:
                self._look_up(flow, request, key, outcome, loop)
                return
            outcome = found
        if isinstance(outcome, Forward):
            self._forward(flow, request, key, outcome, loop)
        elif isinstance(outcome, Answer):
            self.answer(flow, request, key, outcome)
        else:
            self._serve_here(flow, request, key, outcome)

    def _serve_here(self, flow: Flow, request: Request, key: str, outcome: Outcome) -> None:
        """Do what is done with a request that ends at this server."""
        if isinstance(outcome, Register) and self._homes.elsewhere(outcome.aor):
            self.answer(flow, request, key, MOVED)
        elif isinstance(outcome, Register):
            response = self._registrations.register(flow, request, key, outcome.aor, self._transactions)
            if response is not None:
                self._transactions.answered["REGISTER"][response.status // 100] += 1
                self.reply(flow, request, key, response)
        elif isinstance(outcome, Store):
            self._store(flow, request, key, outcome)
        elif isinstance(outcome, Serve):
            self._notify(flow, request, key, outcome)
        elif isinstance(outcome, Prove):
            self.answer(flow, request, key, Answer(403, code=Code.NOT_AUTHENTICATED, why=f"not {outcome.aor}"))
        elif isinstance(outcome, Drop):
            self._log.debug("dropped", link=flow.link.id, method=request.method, why=outcome.why)

    def _to_contact(self, request: Request, outcome: ToContact) -> ToUser | Forward | Answer:
        """Find whose Contact is addressed: of a user with a link here, or of another server of the pool, which may know it."""
        owner = self._registrations.owner_at(outcome.contact.address)
        if owner and not self._has_namesake(owner):
            return ToUser(owner, outcome.identity, outcome.contact)
        mates = self._view.pool_mates if outcome.asks_mates else ()
        if not mates:
            return Answer(
                404, code=Code.NO_ROUTE, why=f"no user has registered the Contact {shown(outcome.contact.address)}"
            )
        asked = [ServerTarget((mate,), LinkKind.SERVER, request.uri, asks=True) for mate in sorted(mates)]
        return Forward(tuple(asked), outcome.identity)

    def _has_namesake(self, aor: str) -> bool:
        """Tell whether another of our domains has a user of the same name, who may have registered the same Contact elsewhere."""
        user = user_of(aor)
        same = [domain for domain in self._view.sip_domains if self._homes.of(f"sip:{user}@{domain}") is not None]
        return len(same) > 1

    def _to_owner(self, outcome: ToUser) -> ToUser:
        """Replace an alias by the user whose it is."""
        if self._homes.of(outcome.aor) is not None:
            return outcome
        owner = self._homes.owner_of(outcome.aor) or outcome.aor
        return ToUser(owner, outcome.identity, outcome.device, outcome.instead)

    def _to_user(self, flow: Flow, request: Request, outcome: ToUser) -> Forward | Answer | Store | Serve | None:
        """Find where a user is; None where the registrations have to be read first."""
        home = self._homes.of(outcome.aor)
        view = self._view
        if outcome.instead is not None and home != view.pool.name:
            return outcome.instead
        if home is None and not self._homes.ready:
            return NO_USERS_YET
        if home is None or flow.sender is None:
            return Answer(404, why=f"{outcome.aor} is not a user of this network")
        if home != view.pool.name:
            return self._to_home(flow.sender, request, outcome, home)
        return self._at_home(flow, request, outcome)

    def _to_home(self, sender: Sender, request: Request, outcome: ToUser, home: str) -> Forward | Answer:
        """Send a request to the home pool of its user; another front end that asks its backup pool too early may ask again."""
        view = self._view
        is_from_front_end = isinstance(sender, ServerSender) and sender.peer.role is Role.FRONT_END
        if is_from_front_end and view.backup_of(home) == view.pool.name:
            return NOT_TAKEN_OVER
        return to_home(request, outcome, sender, home, view.way_to(home))

    def _at_home(self, flow: Flow, request: Request, outcome: ToUser) -> Forward | Answer | Store | Serve | None:
        """Find the phones of a user of our pool, or what serves the request in their place."""
        if request.method in EVENT_METHODS and outcome.device is None:
            served = self._events.served(request, outcome, flow.sender)
            if served is not None:
                return served
        if request.method != "MESSAGE":  # the most frequent method, which no rule refuses
            refused = self._events.refused(request, outcome)
            if refused is not None:
                return refused
        if request.method == "REFER" and flow.sender is not None:
            is_application = self._is_application(flow.sender, outcome.identity or "")
            refused = refused_reference(request, outcome.aor, outcome.identity, is_application=is_application)
            if refused is None and outcome.instead is not None:  # to another link of the device that rings
                refused = self._refused_early(request, outcome.instead)
            if refused is not None:
                return refused
        held = self._registrations.bindings(outcome.aor)
        if held is None and request.method == "ACK":  # it cannot wait, since nothing answers it
            return outcome.instead
        return None if held is None else self._to_bindings(request, outcome, held)

    def _is_application(self, sender: Sender, identity: str) -> bool:
        """Tell whether a request is of an application: on its link, or in a name that applications speak for and no user has."""
        if isinstance(sender, ServerSender) and sender.peer.role is Role.APPLICATION:
            return True
        domain = identity.rpartition("@")[2]
        pools = self._view.loaded.topology.pools
        return self._homes.of(identity) is None and any(domain in pool.speaks_for for pool in pools)

    def _to_bindings(self, request: Request, outcome: ToUser, held: Sequence[Binding]) -> Forward | Answer | Store:
        """Make the targets of a request for a user with the bindings *held*; a MESSAGE is stored for a user who has none."""
        if outcome.device is not None:
            held = outcome.device.rows_of(held)
            if not held and outcome.instead is not None:
                return outcome.instead
        elif request.method == "MESSAGE" and self._events.is_to_store(request, outcome.aor, is_registered=bool(held)):
            return Store(outcome.aor, outcome.identity)
        view = self._view
        return fork(request, held, outcome.identity, view.name, view.pool_mates)

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
            lambda: NO_REGISTRATIONS if held is None else self._to_bindings(request, outcome, held),
        )

    def _go_on(self, flow: Flow, request: Request, key: str, loop: str, decide: Callable[[], Outcome]) -> None:
        """Carry out what *decide* gives for a request that has waited; errors of the request are handled here."""
        try:
            self.carry_out(flow, request, key, decide(), loop)
        except RemoteError as wrong:
            self.refuse_malformed(flow, request, wrong)
        except SipmeshError as wrong:
            self.refuse_failed(flow, request, wrong)

    def decide_again(self, proxied: ProxiedRequest, what: AnotherNotifier) -> None:
        """Serve a SUBSCRIBE or PUBLISH whose notifier cannot be reached: here, or at the next server of the pool.

        A subscription that it had is lost with it: the phone subscribes anew after a 481 (RFC 6665 section 4.1.2.2).
        """
        flow, request, key = proxied.flow, proxied.request, proxied.key
        if flow.served.get(key) is not proxied:
            return  # its link has closed
        self._transactions.drop(proxied)
        is_lost = request.to.tag is not None
        self._go_on(
            flow, request, key, proxied.loop, lambda: UNKNOWN if is_lost else self._events.chosen(request, what)
        )

    def _notify(self, flow: Flow, request: Request, key: str, outcome: Serve) -> None:
        """Give a request to the notifier; the NOTIFY of a new subscription follows the answer."""
        if self.siblings is not None and self.siblings.hand_over(flow, request, outcome.aor):
            return
        if self._account(flow, request, key, outcome.identity) is None:
            return
        notifier = self._events.notifier
        response = notifier.serve(flow, request, outcome.aor, outcome.identity)
        if isinstance(response, Answer):
            self.answer(flow, request, key, response)
        else:
            self.reply(flow, request, key, response)
        notifier.answered(request, outcome.aor, response)

    def _store(self, flow: Flow, request: Request, key: str, outcome: Store) -> None:
        """Store a MESSAGE for its user, and answer once it is on disk; meanwhile the end of the link finds the request."""
        if request.present & IN_REQUESTS and flow.sender is not None:
            self._border.admit_request(request, flow.sender)
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
            self.answer(flow, request, key, Answer(202))
            return
        self._log.warning(
            flow.account.name, "message not stored", link=flow.link.id, to=outcome.aor, why=WHY_NOT[result]
        )
        self.answer(flow, request, key, Answer(480))

    def _account(self, flow: Flow, request: Request, key: str, identity: str | None) -> Usage | None:
        """Give the account of a request's sender; None if it is full, which is answered."""
        if flow.link.kind is not LinkKind.SERVER:
            return flow.account
        account = self._accounts.carried(flow.account, identity, request)
        full = account.first_full()
        if full is None:
            return account
        self.answer(flow, request, key, self.over_its_limit(flow, request, full))
        return None

    def _forward(self, flow: Flow, request: Request, key: str, outcome: Forward, loop: str) -> None:
        if is_carried(outcome.targets[0]):
            self._carry(flow, request, key, outcome, loop)
            return
        if request.present & IN_REQUESTS and flow.sender is not None:
            self._border.admit_request(request, flow.sender)
        negotiates = request.method in NEGOTIATES and (request.body or request.method == "INVITE")
        if negotiates and not self._may_negotiate(flow, request, key, outcome):
            return
        if request.method == "ACK":
            self._acks.forward(flow, request, outcome)
            return
        if request.method in EVENTS_OF_PHONES:
            refused = self._refused_event(flow, request, outcome)
            if refused is not None:
                self.answer(flow, request, key, refused)
                return
        account = self._account(flow, request, key, outcome.identity)
        if account is None:
            return
        proxied = self._transactions.open(flow, request, key)
        proxied.account = account
        self._relay.forward(proxied, outcome, loop)

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

    def _refused_event(self, flow: Flow, request: Request, outcome: Forward) -> Answer | None:
        """Refuse a SUBSCRIBE, NOTIFY or REFER that a phone, or the watcher of a phone, may not get; None if it may pass."""
        if request.method == "REFER":
            return self._refused_early(request, outcome)
        owner = self._owner_of(outcome.targets[0])
        if request.method == "SUBSCRIBE":
            return self._events.refused(request, ToUser(owner, outcome.identity)) if owner else None
        is_of_phone = flow.link.kind is LinkKind.CLIENT
        return self._events.refused_notify(request, outcome, owner, is_of_phone=is_of_phone)

    def _owner_of(self, target: Target) -> str:
        """Give the user whose phone at this server is the *target*; "" if it is none."""
        reached = self._flow_table.find(Start(0, target)) if isinstance(target, FlowTarget) else None
        if reached is None or not isinstance(target, FlowTarget):
            return ""
        return next((user for user in reached.users if owner_hash(user) == target.owner), "")

    def _refused_early(self, request: Request, outcome: Forward) -> Answer | None:
        """Refuse a REFER to a phone of this server inside a call that still rings: nobody has accepted the call yet."""
        target = outcome.targets[0]
        reached = self._flow_table.find(Start(0, target)) if isinstance(target, FlowTarget) else None
        if reached is None:
            return None
        link, siblings = reached.carrier or reached, self.siblings
        rings = link.rings(request.call_id) if siblings is None else siblings.rings(link, request.call_id)
        if not rings:
            return None
        return EARLY_REFERENCE

    def _carry(self, flow: Flow, request: Request, key: str, outcome: Forward, loop: str) -> None:
        """Forward between a user's link here and the user's home pool, which judges what passes."""
        if request.present & IN_REQUESTS and isinstance(flow.sender, ServerSender):
            self._border.admit_request(request, flow.sender)
        if request.method == "ACK":
            self._acks.forward(flow, request, outcome)
            return
        account = self._account(flow, request, key, outcome.identity)
        if account is not None:
            proxied = self._transactions.open(flow, request, key)
            proxied.account = account
            self._relay.forward(proxied, outcome, carried_loop(loop))

    def _refuse_media(self, flow: Flow, request: Request, key: str, outcome: Forward, refused: Answer) -> None:
        """Refuse a request for its media. An ACK has no response, so its call is ended with both sides."""
        if request.method == "ACK":
            self._refusals.record(flow, request, refused)
            self._release.end_call(flow, request, outcome)
        else:
            self.answer(flow, request, key, refused)

    def answer(self, flow: Flow, request: Request, key: str, answer: Answer) -> None:
        """Answer a request ourselves; a refusal carries a coarse class, and a reference to our log."""
        if request.method == "ACK":
            return
        headers = answer.headers
        if answer.code is not None:
            headers += (("Warning", self._refusals.record(flow, request, answer)),)
        self.reply(flow, request, key, respond(request, answer.status, answer.reason or None, headers=headers))

    def reply(self, flow: Flow, request: Request, key: str, response: Response) -> None:
        """Send our own response; of a refused INVITE, only the key for its ACK is kept (RFC 3261 8.2.7 and 26.3.2.4).

        A response that the next hop would not read becomes a 513: the other end would close the link, with all its users.
        """
        data = response.encode()
        if is_too_long(response, len(data)):
            data = respond(request, TOO_LARGE).encode()
        flow.link.send(data)
        if request.method == "INVITE":
            flow.refuse(key)

    def refuse_malformed(self, flow: Flow, request: Request, wrong: RemoteError) -> None:
        """Answer with the status that the broken rule asks for, or close where nothing can be answered."""
        who = flow.account.name
        self._log.warning(who, "request refused", link=flow.link.id, method=request.method[:32], why=str(wrong))
        if request.method == "ACK":
            return
        try:
            flow.link.send(respond(request, wrong.status).encode())
        except RemoteError as unanswerable:
            flow.link.close(f"cannot be answered: {unanswerable}")

    def refuse_failed(self, flow: Flow, request: Request, wrong: SipmeshError) -> None:
        """Answer a fault on our side: its text is for our log."""
        who = flow.account.name
        self._log.error(who, "request failed", link=flow.link.id, method=request.method, why=str(wrong))
        if request.method == "ACK":
            return
        response = respond(request, 500, headers=(("Retry-After", RETRY_AFTER_S),))
        held = flow.served.get(server_key(request))
        if held is not None:
            self._transactions.answer(held, response)
        else:
            flow.link.send(response.encode())

    def over_its_limit(self, flow: Flow, request: Request, account: Usage) -> Answer:
        """Return a 503 that asks the sender to retry later; other senders are not affected."""
        self._accounts.refuse(account)
        self._log.warning(
            flow.account.name,
            "too many octets in memory",
            link=flow.link.id,
            principal=f"{account.kind} {account.name}",
            method=request.method[:32],
            branches=account.branches,
            octets=account.octets,
        )
        return try_later("too many octets of its sender in memory")

    def too_many_users(self, flow: Flow, request: Request) -> Answer | None:
        """Return a 480 for a partner's new request to one more user than it, or its sender, may address in an hour, else None.

        Other users are not affected, so the partner is not asked to stay away (503). A request with a To tag of no dialog is
        refused later.
        """
        if request.to.tag is not None:
            return None
        if self._accounts.addressed.admits(flow.link.peer_name, request.from_.aor, request.ruri.aor):
            return None
        self._accounts.refuse(flow.account)
        most = self._accounts.addressed.count(flow.link.peer_name)
        self._log.warning(flow.account.name, "too many different users addressed", link=flow.link.id, users=most)
        return Answer(480, why=f"its sender has addressed too many different users within an hour, of {most} in all")
