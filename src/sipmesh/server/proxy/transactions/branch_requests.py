"""The request of each branch: a copy of the received request, as the peer of its link may see it (RFC 3261 16.6)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sipmesh.errors import RemoteError
from sipmesh.routing.call_rules.diversion import add_history, diversion_value
from sipmesh.routing.identity.border import ON_THE_WAY_OUT
from sipmesh.routing.identity.dialog_token import Begun, FlowSide, Side, ends_of, owner_hash
from sipmesh.routing.identity.forwarded_caller import ForwardedCaller
from sipmesh.routing.identity.privacy import ANONYMOUS, hides_identity, hides_user, is_hidden
from sipmesh.routing.identity.sender import ClientSender, named_side
from sipmesh.routing.identity.tokens import Tokens
from sipmesh.routing.identity.trunk_names import TrunkNames, number_beside
from sipmesh.routing.identity.verstat import asserted_with_verstat
from sipmesh.routing.media.origin import AnonymousBody
from sipmesh.routing.proxy.breadth import set_breadth
from sipmesh.routing.proxy.forwarding import (
    ListenerAddress,
    branch_copy,
    contact_host,
    creates_dialog,
    hides_history,
    record_routes,
    recorded_behind,
    recorded_token,
    released_identity,
    renew_token,
    repeat_record_routes,
    repeats_record_routes,
    uri_of_entry,
)
from sipmesh.routing.registrar.gruu import is_to_hidden_user
from sipmesh.routing.target import FlowTarget, Found, RemoteFlowTarget, ServerTarget, Target, is_carried
from sipmesh.server.proxy.dialog_key import dialog_of
from sipmesh.server.proxy.flow import AnsweredToken
from sipmesh.sip.names import GUARDED
from sipmesh.sip.rows import expect_repeated, made_row, sent_via
from sipmesh.sip.status import FIRST_REDIRECTION
from sipmesh.sip.uri import CACHED_LENGTH
from sipmesh.trust.evidence import LinkKind
from sipmesh.trust.role import Role

if TYPE_CHECKING:
    from collections.abc import Collection

    from sipmesh.routing.call_rules.diversion import Chain
    from sipmesh.routing.proxy.branch import Branches
    from sipmesh.routing.proxy.effects import Start
    from sipmesh.server.in_force.in_force import Current
    from sipmesh.server.proxy.flow import Flow, ProxiedRequest, SentBranch
    from sipmesh.server.proxy.flow_table import FlowTable
    from sipmesh.server.proxy.transactions.privacy_service import PrivacyService
    from sipmesh.server.proxy.trunks.call_signer import CallSigner
    from sipmesh.server.proxy.trunks.trunk_logins import TrunkLogins
    from sipmesh.sip.message import Request, Response
    from sipmesh.sip.rows import Row


class BranchRequests:
    """Makes the requests of branches. *branches* mints branch parameters."""

    def __init__(
        self,
        flow_table: FlowTable,
        tokens: Tokens,
        branches: Branches,
        listeners: dict[str, ListenerAddress],
        current: Current,
        privacy: PrivacyService,
        logins: TrunkLogins,
        signer: CallSigner,
    ) -> None:
        self._current, self.branches = current, branches
        self._flow_table, self._tokens = flow_table, tokens
        self._listeners, self._privacy, self._logins, self._signer = listeners, privacy, logins, signer

    def make(self, proxied: ProxiedRequest, start: Start, flow: Flow, branch: str) -> Request:
        """Copy a received request for the target of *start*, to be sent on *flow*. Raises `RemoteError` without a sender."""
        target = start.target
        hidden = proxied.anonymous_body() if hides_identity(proxied.request) else None
        recorded: tuple[str, ...] = ()
        if proxied.came_by is not None and creates_dialog(proxied.request):
            token = self._recorded_path(proxied.request, target, flow)
            if not token:
                caller, callee = self._came_from(proxied), self._goes_to(target, flow)
                secret = hidden is not None or is_to_hidden_user(proxied.request)
                if self._current.value.trunk_names is not None and flow.link.kind is LinkKind.PARTNER:
                    secret = secret or _hides_callee(proxied.request)
                onward = self._tokens.entry_hash(uri_of_entry(proxied.request.items("record-route"), 0))
                token = self._tokens.dialog(caller, callee, self._begun(proxied), onward, secret=secret)
            recorded = record_routes(proxied.request, token, proxied.came_by, self._listeners[flow.link.port])
        via = sent_via(self._listeners[flow.link.port].via_form, branch)
        request = proxied.request if not start.chain else self._with_history(proxied.request, start.chain)
        copy = self._copy_onto(flow, request, target, via, recorded, proxied.flow, proxied.identity, hidden)
        if start.chain:
            self._add_diversion(copy, flow, start.chain, proxied.identity)
        if proxied.context is not None and proxied.context.share:
            set_breadth(copy, proxied.context.share)
        expect_repeated(via, copy.rows)
        return copy

    def _with_history(self, request: Request, chain: Chain) -> Request:
        """Copy a request that users of ours have forwarded, with the names of those users."""
        copy = request.copy()
        add_history(copy, chain, self._current.value.view.loaded.topology.sip_domains[0])
        return copy

    def _add_diversion(self, copy: Request, flow: Flow, chain: Chain, caller: str | None) -> None:
        """Say towards a gateway whose call it is: the trunk gets the number of the user who has forwarded it.

        The gateway bounds the forwarded calls of *caller*.
        """
        in_force = self._current.value
        pool = in_force.view.pools.get(self._flow_table.side_name(flow.link))  # the link may not be up yet
        if pool is None or pool.role is not Role.GATEWAY:
            return
        last, domains = chain[-1], in_force.view.loaded.topology.sip_domains
        number = in_force.homes.number_of(last.by, copy.to)
        copy.remove("p-asserted-identity")
        copy.remove("history-info")
        copy.append("p-asserted-identity", f"<{last.by}>")
        if number:
            copy.append("p-asserted-identity", f"<tel:{number}>")
        shown = f"sip:{number}@{domains[0]};user=phone" if number else last.by
        told = ForwardedCaller.of(caller, domains).param() if caller else ""
        copy.append("diversion", diversion_value(last, f"{shown}{told}"))

    def make_ack(self, ack: Request, came_on: Flow, target: Target, flow: Flow, identity: str | None) -> Request:
        """Copy the ACK of a 2xx that *identity* has sent on *came_on*; it belongs to no transaction (RFC 3261 17.1.1.3)."""
        via = made_row("via", self._listeners[flow.link.port].via_form.value(self.branches.mint("ack")))
        hidden = AnonymousBody(ack) if hides_identity(ack) else None
        return self._copy_onto(flow, ack, target, via, (), came_on, identity, hidden)

    def add_via(self, flow: Flow, request: Request) -> None:
        """Give a request of our own its Via, and the Route of a carried *flow*."""
        if flow.path:
            request.prepend("route", flow.path)
        request.push(sent_via(self._listeners[flow.link.port].via_form, self.branches.mint("own")))

    def _copy_onto(
        self,
        flow: Flow,
        request: Request,
        target: Target,
        via: Row,
        recorded: tuple[str, ...],
        came_on: Flow,
        identity: str | None,
        hidden: AnonymousBody | None,
    ) -> Request:
        """Copy a request that *identity* has sent on *came_on*, as the peer of *flow* may see it.

        *hidden* is the body of a request whose sender is hidden from clients (`hides_identity`).
        """
        kind = flow.link.kind
        released = released_identity(identity, kind, hidden=hidden is not None)
        copy = branch_copy(request, target, via=via, recorded=recorded, identity=released)
        self._privacy.open_contact(copy, target, identity)
        if hidden is not None and _is_of(identity, self._current.value.view.sip_domains):
            self._privacy.remember(copy, identity)
        if hidden is not None and not is_carried(target):
            self._privacy.hide_sender(copy, came_on, identity, kind, hidden)
        if copy.present & ON_THE_WAY_OUT and copy.method != "REGISTER":  # that goes to the home pool of its user
            self._strip(copy, flow)
        if flow.path:
            copy.prepend("route", flow.path)
        in_force = self._current.value
        if kind is LinkKind.CLIENT and request.present & GUARDED:
            told = asserted_with_verstat(request, released)
            if told:
                copy.append("p-asserted-identity", told)
        if in_force.trunk_names is not None:
            self._rename(in_force.trunk_names, copy, request, flow, came_on)
        elif in_force.told_numbers and kind is LinkKind.SERVER:
            self._add_number(copy, flow, identity)
        return copy

    def _rename(self, names: TrunkNames, copy: Request, request: Request, flow: Flow, came_on: Flow) -> None:
        """Name the parties of a request as its receiver knows them: a trunk, or a front end behind this gateway."""
        sent_by = self._listeners[flow.link.port].sent_by
        if flow.link.kind is not LinkKind.PARTNER:
            if came_on.link.kind is LinkKind.PARTNER:
                names.open_contact(copy, min(self._flow_table.domains_of(came_on)), self._tokens)
                if hides_identity(copy):
                    names.hide_contact(copy, names.host, self._tokens, ANONYMOUS)
            return
        trunk = min(self._flow_table.domains_of(flow))
        if copy.to.tag is not None:  # a call that begins is for a number, and no Contact was hidden yet
            names.open_contact(copy, names.host, self._tokens)
        own = number_beside(request)
        number = own or names.trunks.trunks[trunk].main_number
        names.leave(copy, number, trunk)
        self._signer.sign(copy, trunk, number, is_own=bool(own))
        names.hide_contact(copy, trunk, self._tokens, sent_by)
        self._logins.authorize(copy, trunk)

    def open_contact(self, bye: Request, trunk: str) -> None:
        """Put the Contact that was hidden from *trunk*, or from its caller, into the Request-URI of a BYE of our own."""
        names = self._current.value.trunk_names
        if names is not None:
            for peer in (trunk, names.host):
                names.open_contact(bye, peer, self._tokens)

    def hide_answerer(self, sent: SentBranch, response: Response) -> None:
        """Replace the Contact of a phone in a response to a trunk, and of a trunk to those who may not learn its number."""
        names, asked = self._current.value.trunk_names, sent.proxied
        is_to_trunk = asked.flow.link.kind is LinkKind.PARTNER
        if names is None:
            return
        if response.status >= FIRST_REDIRECTION:
            if is_to_trunk:
                names.limit_redirection(response)
            elif _hides_callee(asked.request):
                response.remove("contact")
        elif is_to_trunk:
            trunk = min(self._flow_table.domains_of(asked.flow))
            names.hide_contact(response, trunk, self._tokens, self._listeners[asked.flow.link.port].sent_by)
        elif hides_user(asked.request.to) or _hides_callee(asked.request) or is_hidden(asked.request.uri):
            names.hide_contact(response, names.host, self._tokens, ANONYMOUS)

    def _add_number(self, copy: Request, flow: Flow, identity: str | None) -> None:
        """Assert the number of our user towards a gateway or an application, beside the identity (RFC 3325 section 9.1)."""
        in_force = self._current.value
        if identity is not None and self._flow_table.side_name(flow.link) in in_force.told_numbers:
            number = in_force.homes.number_of(identity, copy.from_) or in_force.callback(identity, copy.ruri)
            if number:
                copy.append("p-asserted-identity", f"<tel:{number}>")

    def _strip(self, copy: Request, flow: Flow) -> None:
        """Remove what the peer of *flow* may not see."""
        domains = self._flow_table.domains_of(flow)
        private, hidden = hides_history(copy), hides_identity(copy)
        self._current.value.border.release(copy, flow.link.kind, domains, private=private, hidden=hidden)

    def _recorded_path(self, request: Request, target: Target, flow: Flow) -> str:
        """Give the token for our Record-Route in a dialog of a carried user; "" for other dialogs."""
        path = path_by(target, flow)
        return self._tokens.recorded(path, request.call_id, request.from_.tag or "") if path else ""

    def _begun(self, proxied: ProxiedRequest) -> Begun:
        """Return the state of the dialog that the request starts; it is the same on all branches."""
        begun, request = proxied.begun, proxied.request
        if begun is None:
            target = contact_host(request)
            caller, callee = request.from_.aor, request.to.aor
            begun = proxied.begun = self._tokens.begun(request.call_id, request.from_.tag or "", caller, callee, target)
        return begun

    def _came_from(self, proxied: ProxiedRequest) -> Side:
        sender = proxied.flow.sender
        if sender is None:
            raise RemoteError("a request on a link without a sender", rule="R12", status=403)
        who = proxied.identity or ""
        if isinstance(sender, ClientSender) and who not in sender.users:  # a delegate speaks for another user
            who = sender.user_named(proxied.request.from_)
        return sender.side(who)

    def _goes_to(self, target: Target, flow: Flow) -> Side:
        if isinstance(target, FlowTarget):
            return FlowSide(self._tokens.incarnation, flow.number, target.owner)
        if isinstance(target, RemoteFlowTarget):
            return named_side(self._flow_table.pool_of(target.binding.host))
        return named_side(self._flow_table.side_name(flow.link))

    # The dialog tokens in responses

    def bind_answer(self, sent: SentBranch, response: Response) -> None:
        """Put the callee's tag and the entry behind ours into our dialog token in a response, for the initiator of the dialog.

        The entries that the request had are those of the request again: the server before us does the same with ours.
        """
        if not creates_dialog(sent.proxied.request):
            return
        behind: list[str] = []
        if not repeats_record_routes(response, sent.request):
            repeat_record_routes(response, sent.request)
            behind = recorded_behind(response, sent.request)
        tag = response.to.tag
        if tag is not None and not sent.is_carried:
            answered = self._answered(sent, tag, self._tokens.entry_hash(uri_of_entry(behind, -1)))
            renew_token(response, answered.unanswered, answered.text)

    def _answered(self, sent: SentBranch, tag: str, onward: bytes) -> AnsweredToken:
        """Give our token for the initiator of the dialog that the side with *tag* has answered."""
        known = sent.answered
        if known is None or known.tag != tag or known.onward != onward:
            token = recorded_token(sent.request)
            text = self._tokens.answered(token, tag, onward)
            known = AnsweredToken(token, tag, onward, text)
            if len(tag) <= CACHED_LENGTH:
                sent.answered = known
        return known

    def dialog_of(self, sent: SentBranch, response: Response) -> str:
        """Give the key of the dialog that *response* has begun, between the ends in our token in its INVITE."""
        return dialog_of(response, ends_of(self._tokens.read(recorded_token(sent.request))))

    def tokens_in(self, sent: SentBranch, response: Response) -> tuple[str, ...]:
        """Return the tokens that our Record-Route in *response* may have: as it was sent, and with the callee's tag."""
        if not creates_dialog(sent.proxied.request):
            return ()
        entries, ours = response.items("record-route"), len(sent.request.items("record-route"))
        renewed = uri_of_entry(entries, -ours) if len(entries) >= ours else None
        return recorded_token(sent.request), (renewed.user if renewed is not None else None) or ""


def path_by(target: Target, flow: Flow) -> str:
    """Give our token in the Path of a carried user whose dialog begins; "" for other dialogs."""
    if isinstance(target, ServerTarget):
        return target.carries.path if target.carries is not None else ""
    if isinstance(target, FlowTarget) and target.found is Found.PATH:
        return next(login.path for login in flow.logins.values() if owner_hash(login.user) == target.owner)
    return ""


def _hides_callee(request: Request) -> bool:
    """Tell whether the caller of a trunk may not learn the number that is called: a user of ours has forwarded the call there."""
    return request.has("diversion")


def _is_of(identity: str | None, domains: Collection[str]) -> bool:
    """Tell whether *identity* is in one of *domains*. No user of a partner has a phone at our servers."""
    return identity is not None and identity.rpartition("@")[2] in domains
