"""The other processes of this server, and their links.

Each process announces its links to all others. A process that forwards a request to a phone at another process does all the work
of a proxy; only the octets cross over. A response crosses back to the process whose branch it answers.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from sipmesh.errors import SipmeshError
from sipmesh.routing.proxy.branch import prefix_of
from sipmesh.server.proxy.events.notifier_choice import notifier_of
from sipmesh.server.proxy.flow import Flow
from sipmesh.server.proxy.siblings.channel import (
    ADDRESSED,
    ARRIVED,
    CLOSE,
    DOWN,
    FETCH,
    LOGIN,
    ORDER,
    REPLY,
    SEND,
    SUPERVISOR,
    TAKEN,
    UP,
    USAGE,
    WorkerChannel,
    packed,
)
from sipmesh.server.proxy.siblings.handed_messages import HandedMessages
from sipmesh.server.proxy.siblings.handed_requests import refused
from sipmesh.server.proxy.siblings.local_links import LocalLinks
from sipmesh.server.proxy.siblings.remote_link import NOT_HERE, RemoteLink
from sipmesh.server.quotas.usage import UsageObserver
from sipmesh.sip.message import Request, Response
from sipmesh.trust.code import Code
from sipmesh.trust.evidence import Direction, LinkKind
from sipmesh.trust.finding import CheckQuestion
from sipmesh.trust.verdict import Verdict

if TYPE_CHECKING:
    import socket

    from sipmesh.routing.outcome import Answer
    from sipmesh.server.in_force.in_force import Current
    from sipmesh.server.log import Log
    from sipmesh.server.proxy.flow_table import FlowTable
    from sipmesh.server.proxy.siblings.elsewhere import CountsElsewhere, LinksElsewhere
    from sipmesh.server.proxy.siblings.shared_state import SharedState
    from sipmesh.server.quotas.principals import CountedLink
    from sipmesh.server.quotas.usage import Usage
    from sipmesh.transport.link.events import LinkEvents
    from sipmesh.transport.link.link import Link
    from sipmesh.transport.reactor.reactor import Reactor

CLOSED_THERE: Final = "closed at the process that has it"


class Siblings(UsageObserver):
    """The other processes of this server, by their numbers; *number* is that of this process.

    *names* gives every process its name in the choice of a notifier. *order* takes the commands of the supervisor and the
    replies to ours. *ended* hears of the end of a process. *crls_missing* hears at the supervisor that a worker has refused a
    peer for want of CRLs, with the owner of the authority: the partner, "" for our own. *taken_elsewhere* hears which pools
    another process has taken over.
    """

    def __init__(self, number: int, reactor: Reactor, flow_table: FlowTable, current: Current, log: Log) -> None:
        self.number, self._reactor, self._flow_table, self._current, self._log = (
            number,
            reactor,
            flow_table,
            current,
            log,
        )
        self._channels: dict[int, WorkerChannel] = {}
        self._by_branch: dict[str, WorkerChannel] = {}
        self._links: dict[int, RemoteLink] = {}
        self._partners: dict[int, RemoteLink] = {}  # those with partners are counted, and used by their process only
        self._accepted: Counter[tuple[LinkKind, str]] = Counter()  # links elsewhere, by kind and peer
        self._local = LocalLinks(reactor, flow_table, log)
        self._handed = HandedMessages()
        self._events: LinkEvents | None = None
        self._elsewhere: LinksElsewhere | None = None
        self._counts: CountsElsewhere | None = None
        self.order: Callable[[WorkerChannel, int, int, bytes], None] = _nothing_to_order
        self.ended: Callable[[int], None] = _not_told
        self.crls_missing: Callable[[str], None] = _not_fetched
        self.taken_elsewhere: Callable[[int, frozenset[str]], None] = _not_taken
        self._shared: dict[int, SharedState] = {}
        self._taken: frozenset[str] = frozenset()

    def __repr__(self) -> str:
        return f"<Siblings of {self.number}: {sorted(self._channels)}, {len(self._links)} links>"

    def attach(self, events: LinkEvents, elsewhere: LinksElsewhere, counts: CountsElsewhere) -> None:
        """Tell *elsewhere* and *counts* of other processes from now on; *events* gets their messages."""
        self._events, self._elsewhere, self._counts = events, elsewhere, counts

    def join(self, number: int, branch: str, sock: socket.socket) -> WorkerChannel:
        """Talk to the process *number* from now on, whose branches begin with *branch*; it is told of our links."""
        before = self._channels.get(number)
        if before is not None:
            before.close()
        channel = WorkerChannel(self._reactor, sock, number, self._take, self._channel_ended)
        self._channels[number] = self._by_branch[branch] = channel
        for flow in self._flow_table.sessions():
            if flow.link.is_here and flow.sender is not None and flow.link.usable:
                channel.send(UP, flow.number, _announced(flow.link, flow))
                for user in flow.logged_in:
                    channel.send(LOGIN, flow.number, packed(user, flow.generations.get(user, NOT_HERE)))
        channel.send(TAKEN, 0, packed(*sorted(self._taken)))
        for account in self._counts.used_here() if self._counts is not None else ():
            channel.send(USAGE, 0, _told(account))
        for state in set(self._shared.values()):
            state.joined(channel)
        return channel

    def share(self, state: SharedState, *kinds: int) -> None:
        """Share *state* with the other processes; frames of these *kinds* are about it."""
        self._shared.update(dict.fromkeys(kinds, state))

    def channel(self, number: int) -> WorkerChannel | None:
        """Return the channel to a process; None if it does not run."""
        return self._channels.get(number)

    def close(self) -> None:
        """Close all channels."""
        for channel in list(self._channels.values()):
            channel.close()

    def judge_again(self) -> None:
        """Give the links of servers the rights that their peers have now; their own process judges them."""
        for link in self._links.values():
            verdict = self._verdict(link, link.peer_name) if link.peer_name else None
            if verdict is not None:
                link.peer.verdict = verdict

    # What happens here

    def link_up(self, link: Link) -> None:
        """Announce a link of ours."""
        self.tell_all(UP, link.number, _announced(link))

    def exceeds(self, link: Link) -> bool:
        """Tell whether a peer has opened more links to all processes together than it may; *link* is the newest."""
        peer = link.verdict.peer if link.verdict is not None else None
        if peer is None or link.direction is not Direction.ACCEPTED:
            return False
        elsewhere = self._accepted[link.kind, peer.name]
        here = self._reactor.links.accepted_from((peer.name,), link.kind)
        return here + elsewhere > self._reactor.limits.links_accepted_per_peer * peer.processes

    def logged_in(self, flow: CountedLink, user: str) -> None:
        """Announce a login on a link of ours, and a carried flow with its first login."""
        if not isinstance(flow, Flow):
            return
        if flow.carrier is not None and flow.logged_in == {user}:
            self.tell_all(UP, flow.number, _announced(flow.link, flow))
        self.tell_all(LOGIN, flow.number, packed(user, flow.generations.get(user, NOT_HERE)))

    def link_down(self, link: Link, why: str) -> None:
        """Announce the end of a link of ours."""
        if not link.is_here:
            return
        self._local.link_closed(link.number)
        self.tell_all(DOWN, link.number, why.encode())

    def changed(self, account: Usage) -> None:
        """Announce what a principal uses here."""
        self.tell_all(USAGE, 0, _told(account))

    def taken_over(self, pools: frozenset[str]) -> None:
        """Announce the pools that this process has taken over; a process that starts later is told too."""
        self._taken = pools
        self.tell_all(TAKEN, 0, packed(*sorted(pools)))

    def addressed(self, partner: str, finder: int, user: int) -> None:
        """Announce one user more whom a partner has addressed here."""
        self.tell_all(ADDRESSED, 0, packed(partner, finder, user))

    def responded(self, flow: Flow, response: Response) -> bool:
        """Hand on a response to the process whose branch it answers; False if it is none of another process."""
        channel = self._by_branch.get(prefix_of(response.top_via.branch or ""))
        if channel is None or not flow.link.is_here:
            return self._local.ends_orphan(flow, response)
        return self._local.responded(flow, response, channel)

    def is_answered_without_end(self, flow: Flow, response: Response) -> bool:
        """Tell whether *response* is for another process, and one more than phones send; each costs as much as a request."""
        branch = response.top_via.branch or ""
        is_elsewhere = prefix_of(branch) in self._by_branch and flow.link.is_here
        return is_elsewhere and self._local.is_answered_without_end(flow.number, branch)

    def waits_on(self, link: Link) -> bool:
        """Tell whether a request of another process waits for its response on a link of ours."""
        return self._local.is_awaited(link.number)

    def rings(self, flow: Flow, call_id: str) -> bool:
        """Tell whether the INVITE of a new call waits on the link of *flow*, also one of another process."""
        return self._local.rings(flow, call_id)

    def refuse_by(self, refused: Callable[[Flow, Request, Answer], str]) -> None:
        """Keep by *refused* what is refused in place of a phone; it returns the Warning."""
        self._local.refused = refused

    def hand_over(self, flow: Flow, request: Request, aor: str) -> bool:
        """Hand a request on to the process that is the notifier of *aor*; False if this process is it.

        What another process has handed over is served here.
        """
        if not flow.link.is_here:
            return False
        running = {str(number): number for number in (self.number, *self._channels) if number != SUPERVISOR}
        chosen = running.get(notifier_of(aor, sorted(running), ()), self.number)
        channel = self._channels.get(chosen)
        if channel is None:
            return False
        data = request.encode()
        if channel.has_room(len(data)):
            channel.send(ARRIVED, flow.number, data)
            self._local.handed(chosen, flow.number, request)
        else:
            flow.link.send(refused(request).encode())
        return True

    def to_supervisor(self, link: Link, message: Request | Response) -> None:
        """Hand on a message of the control plane, unless too much of its sender waits for the supervisor."""
        channel, data = self._channels.get(SUPERVISOR), message.encode()
        if channel is not None and self._handed.admits(channel, link.peer_name, len(data)):
            channel.send(ARRIVED, link.number, data)
        elif isinstance(message, Request):
            link.send(refused(message).encode())

    def ask_for_crls(self, owner: str) -> None:
        """Have the supervisor fetch the CRLs of an authority again."""
        if SUPERVISOR in self._channels:
            self._channels[SUPERVISOR].send(FETCH, 0, owner.encode())

    def tell_process_of(self, link: Link, kind: int, payload: bytes) -> None:
        """Send a frame about a link of another process to that process."""
        if isinstance(link, RemoteLink) and link.worker in self._channels:
            self._channels[link.worker].send(kind, link.number, payload)

    def tell_all(self, kind: int, number: int, payload: bytes) -> None:
        """Send a frame to every process."""
        for channel in self._channels.values():
            channel.send(kind, number, payload)

    # What happens elsewhere

    def _take(self, channel: WorkerChannel, kind: int, number: int, payload: bytes) -> None:
        if kind == SEND:
            self._local.write(channel, number, payload)
        elif kind == ARRIVED:
            self._arrived(channel, number, payload)
        elif kind == UP:
            self._remote_up(channel, number, json.loads(payload))
        elif kind == LOGIN:
            user, generation = json.loads(payload)
            self._remote_login(number, user, generation)
        elif kind == DOWN:
            self._remote_down(number, payload.decode())
        elif kind in {ORDER, REPLY}:
            self.order(channel, kind, number, payload)
        else:
            self._take_rare(channel, kind, number, payload)

    def _take_rare(self, channel: WorkerChannel, kind: int, number: int, payload: bytes) -> None:
        if kind == USAGE and self._counts is not None:
            name, principal, branches, octets = json.loads(payload)
            self._counts.used_elsewhere(channel.number, name, principal, branches, octets)
        elif kind == ADDRESSED and self._counts is not None:
            partner, finder, user = json.loads(payload)
            self._counts.addressed_elsewhere(partner, finder, user)
        elif kind == FETCH:
            self.crls_missing(payload.decode())
        elif kind in self._shared:
            self._shared[kind].told(channel.number, kind, number, payload)
        elif kind == TAKEN:
            self.taken_elsewhere(channel.number, frozenset(json.loads(payload)))
        elif kind == CLOSE and (flow := self._local.flow(number)) is not None:
            flow.link.close(payload.decode())

    def _arrived(self, channel: WorkerChannel, number: int, data: bytes) -> None:
        """Serve a message from a link of another process. A link that is unknown here may be known there: it gets an answer."""
        link, message = self._links.get(number), self._local.parsed(data)
        if message is None or self._events is None:
            return
        if link is not None:
            self._events.arrived(link, message)
        elif isinstance(message, Request):
            channel.send(SEND, number, refused(message).encode())

    def _remote_up(self, channel: WorkerChannel, number: int, facts: list[Any]) -> None:
        if self._events is None or self._elsewhere is None or number in self._links:
            return
        kind, direction, port, remote, local, peer, carrier, path, is_control = facts
        link = RemoteLink(self._reactor, self._events, LinkKind(kind), Direction(direction), number, channel)
        link.port, link.remote, link.local = port, (remote[0], remote[1]), (local[0], local[1])
        link.names, link.carrier, link.path, link.is_control = (peer,), carrier, path, is_control
        self._count(link, 1)
        if link.kind is LinkKind.PARTNER:
            self._partners[number] = link
            return
        link.peer.verdict = self._verdict(link, peer) if peer else None
        if peer and link.verdict is None:  # a version with this server is about to come here
            self._partners[number] = link
            return
        self._links[number] = link
        self._elsewhere.remote_up(link)

    def _count(self, link: RemoteLink, change: int) -> None:
        """Count a link that a peer has opened to another process."""
        if link.kind is not LinkKind.CLIENT and link.direction is Direction.ACCEPTED:
            key = link.kind, link.names[0]
            self._accepted[key] += change
            if not self._accepted[key]:
                del self._accepted[key]

    def _verdict(self, link: RemoteLink, peer: str) -> Verdict | None:
        """Repeat the verdict of the process that has judged a server; None if the topology here does not have the server."""
        trusted = self._current.value.view.trusted.get(peer)
        if trusted is None:
            return None
        question = CheckQuestion("judged", "the verdict of the process that has the link", "rule R2")
        return Verdict(
            peer,
            Code.ACCEPTED,
            (question.passed(peer),),
            datetime.now(UTC),
            link.kind,
            link.direction,
            link.remote,
            peer=trusted,
        )

    def _remote_login(self, number: int, user: str, generation: int) -> None:
        link = self._links.get(number)
        if link is not None and self._elsewhere is not None:
            self._elsewhere.remote_login(link, user, generation)

    def _remote_down(self, number: int, why: str) -> None:
        partner = self._partners.pop(number, None)
        link = self._links.pop(number, partner)
        if link is None:
            return
        self._count(link, -1)
        if partner is None and self._elsewhere is not None:
            link.gone()
            self._elsewhere.remote_down(link, why)

    def _channel_ended(self, channel: WorkerChannel) -> None:
        """Forget a process that has ended, and its links."""
        if self._channels.get(channel.number) is channel:
            del self._channels[channel.number]
        branches = [branch for branch, one in self._by_branch.items() if one is channel]
        for branch in branches:
            del self._by_branch[branch]
        self._local.process_ended(channel, branches)
        known = {**self._links, **self._partners}
        for number in [number for number, link in known.items() if link.worker == channel.number]:
            self._end(number)
        if self._counts is not None:
            self._counts.process_ended(channel.number)
        for state in set(self._shared.values()):
            state.process_ended(channel.number)
        self.taken_elsewhere(channel.number, frozenset())
        self.ended(channel.number)

    def _end(self, number: int) -> None:
        try:
            self._remote_down(number, CLOSED_THERE)
        except SipmeshError as wrong:
            self._log.error("the end of a link of another process is not handled", why=str(wrong))

    def links(self) -> Iterable[RemoteLink]:
        """Return the links of other processes."""
        return list(self._links.values())


def _announced(link: Link, flow: Flow | None = None) -> bytes:
    by, path = (flow.carrier, flow.path) if flow is not None else (None, "")
    kind, direction, carrier = link.kind.value, link.direction.value, by.number if by is not None else 0
    ends = list(link.remote), list(link.local)
    return packed(kind, direction, link.port, *ends, link.peer_name, carrier, path, link.is_control)


def _told(account: Usage) -> bytes:
    return packed(account.kind, account.name, account.branches_told, account.octets_told)


def _nothing_to_order(channel: WorkerChannel, kind: int, number: int, payload: bytes) -> None:
    """Take no order."""


def _not_told(number: int) -> None:
    """Do nothing."""


def _not_fetched(owner: str) -> None:
    """Fetch nothing."""


def _not_taken(process: int, pools: frozenset[str]) -> None:
    """Take note of nothing."""
