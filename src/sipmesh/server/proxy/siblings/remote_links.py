"""The links of other processes of this server, as they have announced them."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from sipmesh.server.proxy.siblings.remote_link import RemoteLink
from sipmesh.trust.code import Code
from sipmesh.trust.evidence import Direction, LinkKind
from sipmesh.trust.finding import CheckQuestion
from sipmesh.trust.verdict import Verdict

if TYPE_CHECKING:
    from sipmesh.server.in_force.in_force import Current
    from sipmesh.server.proxy.siblings.channel import WorkerChannel
    from sipmesh.transport.link.events import LinkEvents
    from sipmesh.transport.reactor.reactor import Reactor


class RemoteLinks:
    """The links by their numbers. *accepted* counts those that each peer has opened to other processes, by kind and peer."""

    def __init__(self, reactor: Reactor, current: Current) -> None:
        self._reactor, self._current = reactor, current
        self.links: dict[int, RemoteLink] = {}
        self._unused: dict[int, RemoteLink] = {}  # those with partners are counted, and used by their process only
        self.accepted: Counter[tuple[LinkKind, str]] = Counter()

    def __len__(self) -> int:
        return len(self.links)

    def up(self, events: LinkEvents, channel: WorkerChannel, number: int, facts: list[Any]) -> RemoteLink | None:
        """Know a link from now on; gives it if this process may use it."""
        if number in self.links:
            return None
        kind, direction, port, remote, local, peer, carrier, path, is_control = facts
        link = RemoteLink(self._reactor, events, LinkKind(kind), Direction(direction), number, channel)
        link.port, link.remote, link.local = port, (remote[0], remote[1]), (local[0], local[1])
        link.names, link.carrier, link.path, link.is_control = (peer,), carrier, path, is_control
        self._count(link, 1)
        if link.kind is not LinkKind.PARTNER:
            link.peer.verdict = self._verdict(link, peer) if peer else None
        # a peer without a verdict: a version with this server is about to come here
        is_used = link.kind is not LinkKind.PARTNER and (not peer or link.verdict is not None)
        (self.links if is_used else self._unused)[number] = link
        return link if is_used else None

    def down(self, number: int) -> RemoteLink | None:
        """Forget a link; gives it if this process has used it."""
        unused = self._unused.pop(number, None)
        link = self.links.pop(number, unused)
        if link is None:
            return None
        self._count(link, -1)
        return link if unused is None else None

    def of_process(self, process: int) -> list[int]:
        """Give the numbers of all links of a process."""
        known = {**self.links, **self._unused}
        return [number for number, link in known.items() if link.worker == process]

    def judge_again(self) -> None:
        """Give the links of servers the rights that their peers have now."""
        for link in self.links.values():
            verdict = self._verdict(link, link.peer_name) if link.peer_name else None
            if verdict is not None:
                link.peer.verdict = verdict

    def _count(self, link: RemoteLink, change: int) -> None:
        """Count a link that a peer has opened to another process."""
        if link.kind is not LinkKind.CLIENT and link.direction is Direction.ACCEPTED:
            key = link.kind, link.names[0]
            self.accepted[key] += change
            if not self.accepted[key]:
                del self.accepted[key]

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
