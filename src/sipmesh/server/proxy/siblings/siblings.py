"""The other processes of this server, and their links.

Each process announces its links to all others. A process that forwards a request to a phone at another process does all the work
of a proxy; only the octets cross over. A response crosses back to the process whose branch it answers.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from sipmesh.routing.events.notifier_choice import notifier_of
from sipmesh.routing.proxy.branch import prefix_of
from sipmesh.server.proxy.other_processes import OtherProcesses
from sipmesh.server.proxy.siblings.channel import (
    ARRIVED,
    CALL,
    CALL_ENDED,
    CONTACT,
    DIALOG_ENDED,
    DOWN,
    FAILURE,
    FETCH,
    LOGIN,
    PASSPORTS_USED,
    SUPERVISOR,
    TAKEN,
    TOKEN_USED,
    UP,
    WorkerChannel,
    packed,
)
from sipmesh.server.proxy.siblings.contacts_elsewhere import ContactsElsewhere
from sipmesh.server.proxy.siblings.handed_messages import HandedMessages
from sipmesh.server.proxy.siblings.handed_requests import refused
from sipmesh.server.proxy.siblings.local_links import LocalLinks
from sipmesh.server.proxy.siblings.remote_link import NOT_HERE, RemoteLink
from sipmesh.server.proxy.siblings.remote_links import RemoteLinks
from sipmesh.sip.message import Request, Response
from sipmesh.trust.evidence import Direction

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sipmesh.routing.passport.verification import PassportUse
    from sipmesh.server.in_force.in_force import Current
    from sipmesh.server.log import Log
    from sipmesh.server.proxy.flow import Flow
    from sipmesh.server.proxy.flow_table import FlowTable
    from sipmesh.server.proxy.message_refusals import MessageRefusals
    from sipmesh.transport.link.link import Link
    from sipmesh.transport.reactor.reactor import Reactor


class Siblings(OtherProcesses):
    """The other processes of this server, by their numbers; *number* is that of this process.

    What they send comes to `Reception`.
    """

    def __init__(
        self,
        number: int,
        reactor: Reactor,
        flow_table: FlowTable,
        current: Current,
        refusals: MessageRefusals,
        log: Log,
    ) -> None:
        self.number, self._reactor, self._flow_table = number, reactor, flow_table
        self.channels: dict[int, WorkerChannel] = {}
        self.by_branch: dict[str, WorkerChannel] = {}
        self.remote = RemoteLinks(reactor, current)
        self.local = LocalLinks(reactor, flow_table, refusals, log)
        self.contacts = ContactsElsewhere()
        self._handed = HandedMessages()
        self._taken: frozenset[str] = frozenset()

    def welcome(self, channel: WorkerChannel) -> None:
        """Tell a process that has just come up of our links, their logins, and the pools that we have taken over."""
        for flow in self._flow_table.sessions():
            if flow.link.is_here and flow.sender is not None and flow.link.usable:
                channel.send(UP, flow.number, announced(flow.link, flow))
                for user in flow.logged_in:
                    channel.send(LOGIN, flow.number, packed(user, flow.generations.get(user, NOT_HERE)))
        channel.send(TAKEN, 0, packed(*sorted(self._taken)))

    def channel(self, number: int) -> WorkerChannel | None:
        """Return the channel to a process; None if it does not run."""
        return self.channels.get(number)

    def close(self) -> None:
        """Close all channels."""
        for channel in list(self.channels.values()):
            channel.close()

    def judge_again(self) -> None:
        """Give the links of servers the rights that their peers have now; their own process judges them."""
        self.remote.judge_again()

    # What happens here

    def link_up(self, link: Link) -> None:
        """Announce a link of ours."""
        self.tell_all(UP, link.number, announced(link))

    def exceeds(self, link: Link) -> bool:
        """Tell whether a peer has opened more links to all processes together than it may; *link* is the newest."""
        peer = link.verdict.peer if link.verdict is not None else None
        if peer is None or link.direction is not Direction.ACCEPTED or not link.peer.has_certificate:
            return False
        here = self._reactor.links.accepted_from((peer.name,), link.kind)
        elsewhere = self.remote.accepted[link.kind, peer.name]
        return here + elsewhere > self._reactor.limits.links_accepted_per_peer * peer.processes

    def link_down(self, link: Link, why: str) -> None:
        """Announce the end of a link of ours."""
        if not link.is_here:
            return
        self.local.link_closed(link.number)
        self.tell_all(DOWN, link.number, why.encode())

    def taken_over(self, pools: frozenset[str]) -> None:
        """Announce the pools that this process has taken over; a process that starts later gets them too."""
        self._taken = pools
        self.tell_all(TAKEN, 0, packed(*sorted(pools)))

    def call_began(self, key: str, callee: Flow) -> None:
        """Tell the process that has the link of *callee*."""
        self.tell_process_of(callee.link, CALL, json.dumps(key).encode())

    def call_ended(self, key: str) -> None:
        """Tell every process. Any of them may count the call, since phones change their links."""
        self.tell_all(CALL_ENDED, 0, json.dumps(key).encode())

    def dialog_ended(self, dialog: str) -> None:
        """Tell every process. One of them has the call."""
        self.tell_all(DIALOG_ENDED, 0, json.dumps(dialog).encode())

    def contact_changed(self, address: str, aor: str, *, is_added: bool) -> None:
        """Tell all processes of a Contact on a link of ours."""
        self.tell_all(CONTACT, 0, packed(address, aor, is_added))

    def aors_at(self, address: str) -> Iterable[str]:
        """Give the users with a Contact of that address at other processes."""
        return self.contacts.aors_at(address)

    def login_failed(self, link: str, remote: str, aor: str, through: str) -> None:
        """Announce a failed login; *through* is the server that carries the link, or ""."""
        self.tell_all(FAILURE, 0, packed(link, remote, aor, through))

    def token_used(self, user: str, digest: str, link: int, ends_at: float) -> None:
        """Announce the link on which an access token has logged in."""
        self.tell_all(TOKEN_USED, 0, packed(user, digest, link, ends_at))

    def passports_used(self, uses: Iterable[PassportUse]) -> None:
        """Announce the PASSporTs that were accepted here."""
        self.tell_all(PASSPORTS_USED, 0, packed(*uses))

    def responded(self, flow: Flow, response: Response) -> bool:
        """Hand on a response to the process whose branch it answers; False if it is none of another process."""
        channel = self.by_branch.get(prefix_of(response.top_via.branch or ""))
        if channel is None or not flow.link.is_here:
            return self.local.ends_orphan(flow, response)
        return self.local.responded(flow, response, channel)

    def is_answered_without_end(self, flow: Flow, response: Response) -> bool:
        """Tell whether *response* is for another process, and one more than phones send; each costs as much as a request."""
        branch = response.top_via.branch or ""
        is_elsewhere = prefix_of(branch) in self.by_branch and flow.link.is_here
        return is_elsewhere and self.local.is_answered_without_end(flow.number, branch)

    def waits_on(self, link: Link) -> bool:
        """Tell whether a request of another process waits for its response on a link of ours."""
        return self.local.is_awaited(link.number)

    def rings(self, flow: Flow, call_id: str) -> bool:
        """Tell whether the INVITE of a new call waits on the link of *flow*, also one of another process."""
        return self.local.rings(flow, call_id)

    def has_notifier(self, flow: Flow, aor: str) -> bool:
        """Tell whether a request on *flow* for the notifier of *aor* is to be handed over to another process.

        What another process has handed over is served here.
        """
        return flow.link.is_here and self._notifier_of(aor) in self.channels

    def _notifier_of(self, aor: str) -> int:
        """Return the number of the process that is the notifier of *aor*."""
        running = {str(number): number for number in (self.number, *self.channels) if number != SUPERVISOR}
        return running.get(notifier_of(aor, sorted(running), ()), self.number)

    def hand_over(self, flow: Flow, request: Request, aor: str) -> None:
        """Hand a request over to the process that is the notifier of *aor*, or refuse it if there is no room."""
        chosen, data = self._notifier_of(aor), request.encode()
        channel = self.channels.get(chosen)
        if channel is not None and channel.has_room(len(data)):
            channel.send(ARRIVED, flow.number, data)
            self.local.handed(chosen, flow.number, request)
        else:
            flow.link.send(refused(request).encode())

    def to_supervisor(self, link: Link, message: Request | Response) -> None:
        """Hand on a message of the control plane, unless too much of its sender waits for the supervisor."""
        channel, data = self.channels.get(SUPERVISOR), message.encode()
        if channel is not None and self._handed.admits(channel, link.peer_name, len(data)):
            channel.send(ARRIVED, link.number, data)
        elif isinstance(message, Request):
            link.send(refused(message).encode())

    def ask_for_crls(self, request: bytes) -> None:
        """Have the supervisor fetch CRLs that a judged peer needs."""
        if SUPERVISOR in self.channels:
            self.channels[SUPERVISOR].send(FETCH, 0, request)

    def tell_process_of(self, link: Link, kind: int, payload: bytes) -> None:
        """Send a frame about a link of another process to that process."""
        if isinstance(link, RemoteLink) and link.worker in self.channels:
            self.channels[link.worker].send(kind, link.number, payload)

    def tell_all(self, kind: int, number: int, payload: bytes) -> None:
        """Send a frame to every process."""
        for channel in self.channels.values():
            channel.send(kind, number, payload)


def announced(link: Link, flow: Flow | None = None) -> bytes:
    """Return what other processes get about a link of ours, or of a carried flow."""
    by, path = (flow.carrier, flow.path) if flow is not None else (None, "")
    kind, direction, carrier = link.kind.value, link.direction.value, by.number if by is not None else 0
    ends = list(link.remote), list(link.local)
    return packed(kind, direction, link.port, *ends, link.peer_name, carrier, path, link.is_control)
