"""A network of thousands of front ends and millions of users without running it: the real routing code decides, and nothing runs.

Users are numbers, and have no memory: the home pool of each, and the server that its phone is linked to, follow from the number.
Messages go between two users who are drawn from a seed. Each server on the way decides by its own view of the topology.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Final

from bench.network_size import DOMAIN, Network, counted
from bench.table import number, table
from sipmesh.routing.identity.home_rule import unknown
from sipmesh.routing.identity.route_set import RouteSet
from sipmesh.routing.identity.sender import ClientSender, Sender, ServerSender
from sipmesh.routing.outcome import Answer, Forward, ToUser
from sipmesh.routing.proxy.target_set import fork
from sipmesh.routing.registrar.binding import Binding
from sipmesh.routing.registrar.gruu import Gruus
from sipmesh.routing.roles import front_end
from sipmesh.routing.target import FlowTarget, RemoteFlowTarget
from sipmesh.server.in_force.roles import front_end_facts
from sipmesh.sip.framing import parse_message
from sipmesh.sip.message import Request
from sipmesh.topology.document.load import Loaded, load_text
from sipmesh.topology.server_choice import ServerChoice
from sipmesh.topology.view import ServerView, view
from sipmesh.trust.evidence import LinkKind
from sipmesh.trust.role import Role

MOST_HOPS: Final = 8
"""Servers; a message that passes so many goes in circles."""

COUNTED: Final = 50
"""Decisions whose function calls are counted."""


@dataclass
class Passed:
    """What was seen: messages by the number of servers that they passed, and requests by server and by pair of servers."""

    lengths: Counter[int] = field(default_factory=Counter)
    load: Counter[str] = field(default_factory=Counter)
    pairs: Counter[tuple[str, str]] = field(default_factory=Counter)

    def add(self, way: Sequence[str]) -> None:
        """Count a message that passed the servers of *way*."""
        self.lengths[len(way)] += 1
        self.load.update(way)
        self.pairs.update(pairwise(way))


class ManyServers:
    """The front ends of a topology, each with the facts of its own view, and *users* users who are spread over them.

    The servers of one pool share what their views have in common: otherwise 2,000 views would need gigabytes.
    """

    def __init__(self, loaded: Loaded, users: int) -> None:
        self.users, self._loaded = users, loaded
        self.pools: Mapping[str, tuple[str, ...]] = {
            pool.name: tuple(server.name for server in pool.servers)
            for pool in loaded.topology.pools
            if pool.role is Role.FRONT_END
        }
        self._names = tuple(self.pools)
        self._pool_of = {server: pool for pool, servers in self.pools.items() for server in servers}
        self._of_pool = cache(self._view_of_pool)
        self.facts = cache(self._facts)

    def _view_of_pool(self, pool: str) -> tuple[ServerView, front_end.FrontEndFacts]:
        seen = view(self._loaded, self.pools[pool][0])
        return seen, front_end_facts(seen, 1, Gruus(b"key", pool), unknown)

    def _facts(self, server: str) -> front_end.FrontEndFacts:
        """Return the facts of the first server of the pool, with the names of *server*."""
        seen, facts = self._of_pool(self._pool_of[server])
        mates = frozenset(self.pools[seen.pool.name]) - {server}
        hosts = facts.names.hosts - {seen.name} | {server}
        return replace(facts, names=replace(facts.names, hosts=hosts, mates=mates))

    def home(self, user: int) -> str:
        """Return the home pool of a user."""
        return self._names[user % len(self._names)]

    def server(self, user: int) -> str:
        """Return the server that the phone of a user is linked to."""
        servers = self.pools[self.home(user)]
        return servers[user // len(self._names) % len(servers)]

    def way(self, caller: int, callee: int, call_id: str) -> tuple[str, ...]:
        """Return the servers that a message of one user to another passes; raises an error if it does not arrive."""
        way = [self.server(caller)]
        sender: Sender = ClientSender(1, caller, frozenset({aor(caller)}))
        while len(way) < MOST_HOPS:
            onward = self._next(way[-1], message(caller, callee, call_id, asserted=len(way) > 1), sender, callee)
            if onward is None:
                return tuple(way)
            sender = ServerSender(LinkKind.SERVER, self._of_pool(self._pool_of[onward])[0].trusted[way[-1]])
            way.append(onward)
            if self._pool_of[way[-2]] == self._pool_of[onward]:
                return tuple(way)  # it was chosen for the flow of the callee, which its own token names
        raise ValueError(f"in circles: {way}")

    def _next(self, here: str, request: Request, sender: Sender, callee: int) -> str | None:
        """Return the server that *here* forwards to; None where the phone is linked to *here*."""
        outcome = front_end.decide(request, RouteSet(), sender, self.facts(here))
        if not isinstance(outcome, ToUser):
            raise TypeError(f"{here}: {outcome}")
        home, pool = self.home(callee), self._pool_of[here]
        if home != pool:
            found = front_end.to_home(request, outcome, sender, home, ServerChoice((self.pools[home],)))
        else:
            mates = frozenset(self.pools[home]) - {here}
            found = fork(request, [self._row(callee)], outcome.identity, here, mates)
        return host_of(found)

    def _row(self, user: int) -> Binding:
        server = self.server(user)
        contact = f"sip:u{user}@192.0.2.1:5061;transport=tls"
        return Binding(aor(user), contact, None, None, 1.0, f"reg-{user}", 1, server, 1, user, "token", 2e9)


def host_of(outcome: Forward | Answer) -> str | None:
    """Return the first server that *outcome* goes to; None for a phone of this server. Raises TypeError for an answer."""
    if isinstance(outcome, Answer):
        raise TypeError(f"{outcome.status} {outcome.why}")
    target = outcome.targets[0]
    if isinstance(target, FlowTarget):
        return None
    return target.binding.host if isinstance(target, RemoteFlowTarget) else target.names[0]


def aor(user: int) -> str:
    """Return the address of record of a user."""
    return f"sip:u{user}@{DOMAIN}"


def message(caller: int, callee: int, call_id: str, *, asserted: bool) -> Request:
    """Write a MESSAGE, *asserted* as a front end forwards it."""
    head = [
        f"MESSAGE {aor(callee)} SIP/2.0",
        "Via: SIP/2.0/TLS 192.0.2.1:5061;branch=z9hG4bK1",
        f"From: <{aor(caller)}>;tag=1",
        f"To: <{aor(callee)}>",
        f"Call-ID: {call_id}",
        "CSeq: 1 MESSAGE",
        "Max-Forwards: 70",
        *([f"P-Asserted-Identity: <{aor(caller)}>"] if asserted else []),
        "Content-Length: 0",
    ]
    read = parse_message("\r\n".join([*head, "", ""]).encode())
    if not isinstance(read, Request):
        raise TypeError("a request was written")
    return read


def send(network: ManyServers, messages: int, seed: int) -> Passed:
    """Send *messages* between users drawn from *seed*."""
    draw, passed = random.Random(seed), Passed()  # noqa: S311 - no secret depends on it
    for n in range(messages):
        caller, callee = draw.randrange(network.users), draw.randrange(network.users)
        passed.add(network.way(caller, callee, f"{seed}-{n}-{draw.getrandbits(64):x}"))
    return passed


def calls_of_a_decision(network: ManyServers) -> int:
    """Return the function calls that a server makes to decide about one message to another pool."""
    caller, callee = 0, 1
    server, sender = network.server(caller), ClientSender(1, caller, frozenset({aor(caller)}))
    requests = [message(caller, callee, f"count-{n}", asserted=False) for n in range(COUNTED)]
    facts = network.facts(server)
    return counted(lambda: _decide_all(requests, sender, facts)) // COUNTED


def _decide_all(requests: Iterable[Request], sender: Sender, facts: front_end.FrontEndFacts) -> None:
    for request in requests:
        front_end.decide(request, RouteSet(), sender, facts)


def measure(folder: Path, sizes: Sequence[tuple[int, int]], messages: int, seed: int = 1) -> str:
    """Tell what *messages* see in networks of these *sizes*, each a number of servers and of users."""
    heads = ["servers", "users", "messages", "servers passed: 1", "2", "3", "more", "mean", "busiest server / mean"]
    heads += ["pairs of servers with traffic", "calls of a decision"]
    rows = [_row(folder / str(n), size, messages, seed) for n, size in enumerate(sizes)]
    return table(heads, rows)


def _row(folder: Path, size: tuple[int, int], messages: int, seed: int) -> list[str]:
    servers, users = size
    made = Network(folder, servers + 2, 0)  # two of them are management and an edge
    network = ManyServers(load_text(made.text, made.file), users)
    passed = send(network, messages, seed)
    mean = passed.load.total() / servers
    shares = [passed.lengths[n] / messages for n in (1, 2, 3)]
    return [
        f"{servers:,}",
        f"{users:,}",
        f"{messages:,}",
        *(f"{share:.1%}" for share in shares),
        f"{max(0.0, 1 - sum(shares)):.1%}",
        number(passed.load.total() / messages),
        number(max(passed.load.values()) / mean),
        f"{len(passed.pairs):,}",
        str(calls_of_a_decision(network)),
    ]
