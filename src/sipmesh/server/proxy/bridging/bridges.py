"""Which branches pass rtpengine, and the dialogs that depend on them: what is asked of rtpengine, and what may pass."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sipmesh.errors import RemoteError
from sipmesh.routing.identity.privacy import hides_identity
from sipmesh.routing.media.bodies import descriptions_in
from sipmesh.routing.media.bridging.leg import Leg, needs_bridge, offers_like
from sipmesh.routing.media.bridging.loopback import is_loopback, loopback_in
from sipmesh.routing.media.bridging.ng import answer, offer, query
from sipmesh.routing.media.judgement import unencrypted_part
from sipmesh.routing.media.origin import AnonymousBody
from sipmesh.server.proxy.dialog_key import dialog_of
from sipmesh.server.proxy.rtpengine.bridge import Bridge, description_of
from sipmesh.server.proxy.rtpengine.control_socket import AwaitedReply, Fault
from sipmesh.sip.status import Status
from sipmesh.transport.websocket.link import PORT as WEBSOCKET
from sipmesh.trust.evidence import LinkKind

if TYPE_CHECKING:
    from sipmesh.routing.proxy.branch import Branches
    from sipmesh.routing.proxy.effects import Start
    from sipmesh.server.in_force.in_force import Current
    from sipmesh.server.proxy.flow import Flow, ProxiedRequest, SentBranch
    from sipmesh.server.proxy.flow_table import FlowTable
    from sipmesh.server.proxy.rtpengine.control_socket import ControlSocket
    from sipmesh.sip.message import Message, Request, Response

IN_THE_CLEAR: Final = "media are not encrypted beyond this gateway"
"""What a gateway says in a Warning (RFC 3261 section 20.43) to the front end of a call to a trunk without keys."""

OFFERS: Final = frozenset({"INVITE", "UPDATE", "PRACK"})
"""Methods whose bodies offer media."""

MOST_EARLY: Final = 16
"""Early dialogs of one branch: who rings chooses the tags, and must not fill the table of all calls."""

LOOKED_S: Final = 5.0
MOST_LOOKED_AT: Final = 50
"""Seconds between two looks at whether rtpengine still has the calls that are up, and how many are looked at each time."""


class Bridges:
    """The branches and dialogs whose media pass the rtpengine of this host, *most* dialogs of them.

    What passes between this server and a side has to be encrypted, unless the entry of a trunk says otherwise (`Leg.CLEAR`).
    """

    def __init__(
        self, current: Current, flow_table: FlowTable, control: ControlSocket, branches: Branches, most: int
    ) -> None:
        self._current, self._flow_table, self.control, self._branches = current, flow_table, control, branches
        self._most = most
        self._dialogs: dict[str, Bridge] = {}
        self._next_look = 0.0
        self._up: dict[Bridge, tuple[SentBranch, Response]] = {}
        self._lost: list[Bridge] = []

    def __len__(self) -> int:
        return len(self._dialogs)

    # Offers

    def between(self, proxied: ProxiedRequest, start: Start) -> Bridge | None:
        """Give what has to carry the media of a branch of one of `OFFERS`; None if its sides can do without rtpengine."""
        request = proxied.request
        if not request.body:
            return None
        known = self._dialogs.get(dialog_of(request, proxied.received.place.ends)) if request.to.tag else None
        if known is not None and not known.is_over:
            return known
        flow = self._flow_table.find(start)
        found = _descriptions(request)
        if flow is None or not found:
            return None
        sender, receiver = self._leg(proxied.flow), self._leg(flow)
        if not needs_bridge(found[0], sender, receiver):
            return None
        caller = sender if sender.is_trunk else offers_like(found[0])
        key = self._branches.mint(proxied.received.loop)
        return Bridge(key, caller, receiver, request.from_.tag or "", self.control)

    def is_in_the_clear(self, flow: Flow) -> bool:
        """Tell whether *flow* leads to a trunk whose media are not encrypted, and pass rtpengine."""
        return flow.link.kind is LinkKind.PARTNER and self._leg(flow) is Leg.CLEAR and self.control.port > 0

    def offer(self, bridge: Bridge, proxied: ProxiedRequest, awaited: AwaitedReply) -> None:
        """Ask for the offer of a request as its receiver can take it."""
        request = proxied.request
        sender, receiver = bridge.sides_of(request)
        sent = request
        if hides_identity(request):
            sent = request.copy()
            AnonymousBody(request).put_into(sent)
        sdp, fault = self._checked(sent, sender)
        if fault is not None:
            awaited.replied(b"", fault)
            return
        callee = request.to.tag or ""
        command = offer(bridge.key, request.from_.tag or "", callee, sdp, receiver)
        self.control.ask(command, CheckedReply(awaited, receiver), proxied.account.name)

    # Answers

    def answer(self, bridge: Bridge, sent: SentBranch, response: Response, awaited: AwaitedReply) -> None:
        """Ask for the answer in *response* as the sender of the request of *sent* can take it."""
        request = sent.request
        sender, receiver = bridge.sides_of(request)
        sdp, fault = self._checked(response, receiver)
        if fault is not None:
            awaited.replied(b"", fault)
            return
        tags = request.from_.tag or "", response.to.tag or ""
        self.control.ask(answer(bridge.key, *tags, sdp), CheckedReply(awaited, sender), sent.flow.account.name)

    def tell(self, sent: SentBranch, response: Response) -> None:
        """Say in a response of a trunk that its media are in the clear: records and phones know it then."""
        if sent.bridge is not None and sent.bridge.callee is Leg.CLEAR:
            response.append("warning", f'399 {self._current.value.view.name} "{IN_THE_CLEAR}"')

    # Dialogs

    def early(self, sent: SentBranch, dialog: str, response: Response) -> None:
        """A provisional response to an INVITE has begun the early *dialog*: an UPDATE in it passes rtpengine, too."""
        bridge = sent.bridge
        if bridge is None or response.to.tag is None or len(self._dialogs) >= self._most:
            return
        if len(bridge.early) < MOST_EARLY:
            bridge.early.add(dialog)
            self._dialogs.setdefault(dialog, bridge)

    def began(self, sent: SentBranch, bridge: Bridge, dialog: str, response: Response) -> None:
        """A 2xx to an INVITE has begun a *dialog* of *bridge*. In a full table, the oldest one is forgotten."""
        if dialog not in self._dialogs and len(self._dialogs) >= self._most:
            self._up.pop(self._dialogs.pop(next(iter(self._dialogs))), None)
        self._dialogs[dialog] = bridge
        bridge.dialogs.add(dialog)
        self._up.setdefault(bridge, (sent, response.without_body()))

    def ended(self, dialog: str) -> None:
        """A dialog is over."""
        bridge = self._dialogs.pop(dialog, None)
        if bridge is not None:
            bridge.dialog_ended(dialog)
            if bridge.is_over:
                self._up.pop(bridge, None)

    # Calls that rtpengine has lost

    def lost(self, now: float) -> list[tuple[SentBranch, Response]]:
        """Give the calls that rtpengine has not any more, and look at it and at further calls, every few seconds.

        Each is a branch and its 2xx, by which the call can be ended. A command that is not sent, since too many wait, says
        nothing about the call: a flood of calls must not end others.
        """
        lost = [self._up[bridge] for bridge in self._lost if bridge in self._up]
        self._lost.clear()
        if now >= self._next_look:
            self._next_look = now + LOOKED_S
            self.control.look()
            for dialog in list(self._dialogs)[:MOST_LOOKED_AT]:
                bridge = self._dialogs.pop(dialog)
                if not bridge.is_over:
                    self._dialogs[dialog] = bridge  # the last one now: the others are looked at first
                if bridge in self._up and not bridge.is_over and self.control.has_room():
                    self.control.ask(query(bridge.key), LookedAt(bridge, self._lost, self.control))
        return lost

    def _leg(self, flow: Flow) -> Leg:
        kind = flow.link.kind
        if kind is LinkKind.CLIENT:
            return Leg.BROWSER if flow.link.port == WEBSOCKET else Leg.PHONE
        names = self._current.value.trunk_names
        if kind is LinkKind.SERVER or names is None:
            return Leg.SERVER
        trunk = names.trunks.trunks.get(min(self._flow_table.domains_of(flow), default=""))
        return Leg(trunk.keying.value) if trunk is not None and trunk.keying is not None else Leg.SERVER

    def _checked(self, message: Message, side: Leg) -> tuple[bytes, Fault | None]:
        """Give the session description of *side* in *message*, and why it may not pass; None if it may."""
        try:
            sdp = description_of(message)
        except RemoteError as wrong:
            return b"", Fault(str(wrong), Status.NOT_ACCEPTABLE_HERE)
        return sdp, fault_towards(side, sdp) or self._fault_of_place(sdp)

    def _fault_of_place(self, sdp: bytes) -> Fault | None:
        """Refuse media to this host, where rtpengine takes commands. All is on one host if our own address is of loopback."""
        view = self._current.value.view
        here, place = view.addresses[view.name][0] or "", loopback_in(sdp)
        if not place or is_loopback(here.encode()):
            return None
        return Fault(f"media to {place}, which is this server itself", Status.NOT_ACCEPTABLE_HERE)


class CheckedReply(AwaitedReply):
    """A description that rtpengine has made for *side*: it goes on only if it is encrypted, where it has to be."""

    def __init__(self, awaited: AwaitedReply, side: Leg) -> None:
        self._awaited, self._side = awaited, side

    def replied(self, sdp: bytes, fault: Fault | None) -> None:
        """See `AwaitedReply`."""
        wrong = fault or fault_towards(self._side, sdp)
        self._awaited.replied(b"" if wrong is not None else sdp, wrong)


class LookedAt(AwaitedReply):
    """A call that is up: it is one of the *lost* calls if rtpengine does not know it, or answers nothing at all.

    An rtpengine that answers other commands meanwhile is only slow: who sends many calls must not end those of others.
    """

    def __init__(self, bridge: Bridge, lost: list[Bridge], control: ControlSocket) -> None:
        self._bridge, self._lost, self._control, self._heard = bridge, lost, control, control.heard

    def replied(self, _sdp: bytes, fault: Fault | None) -> None:
        """See `AwaitedReply`."""
        is_silent = self._control.heard == self._heard
        if fault is not None and (fault.is_told or is_silent) and self._bridge.dialogs:
            self._lost.append(self._bridge)


def fault_towards(side: Leg, sdp: bytes) -> Fault | None:
    """Say why *sdp* may not pass between this server and *side*; None if it may."""
    try:
        part = unencrypted_part(sdp) if side is not Leg.CLEAR else ""
    except RemoteError as wrong:
        return Fault(str(wrong), Status.NOT_ACCEPTABLE_HERE)
    return Fault(f"{part}: no entry of a trunk allows that", Status.NOT_ACCEPTABLE_HERE) if part else None


def _descriptions(request: Request) -> list[bytes]:
    """Give the session descriptions of a request. If they cannot be read, it is an empty text, whose bridge is refused."""
    try:
        return descriptions_in(request)
    except RemoteError:
        return [b""]
