"""The map of the network: where each server is drawn, which links there are, and what a draft would change.

The map has a column for each role, a box for each pool, and a place for each server. The pools of a site are in a box of their
own, below what belongs to no single site. A box before them has the peers that
servers have refused in the last ten minutes, one place for each server and verdict code. With more servers than `MOST_SERVERS` it
shows pools without their servers; with more than `MOST_SINGLE` it draws links between pools only.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from math import ceil, log10, sqrt
from typing import TYPE_CHECKING, Final

from sipmesh.trust.formatting import tell_time
from sipmesh.trust.role import Role

if TYPE_CHECKING:
    from sipmesh.server.management.replies import NetworkReply, PeerReply, ServerReply
    from sipmesh.server.replication.server_status import Neighbour
    from sipmesh.topology.document.model import Topology

MOST_SERVERS: Final = 200
MOST_SINGLE: Final = 40

MOST_REFUSED: Final = 12
"""Places for refused peers; the newest of each server are drawn first."""

REFUSED: Final = "refused"
NO_REPORT: Final = "no report yet"
COLUMNS: Final = (REFUSED, "partner", Role.EDGE, Role.FRONT_END, Role.APPLICATION, Role.MANAGEMENT)
WIDTH, HEIGHT, GAP, HEAD, MARGIN = 150, 30, 10, 30, 20
"""Of a server in the drawing, between two of them, of the heading of a pool, and around a column, in pixels."""

WIDE: Final = 270
"""Width of a place for refused peers: it names the verdict code and the server."""

COLUMN_GAP: Final = 90
ROWS: Final = 3
"""A box with many servers is about this many times as high as wide, counted in servers."""


class State(StrEnum):
    """How a server or a link is: the map has a colour and a word for each."""

    GOOD = "good"
    BEHIND = "behind"
    BAD = "bad"
    UNKNOWN = "unknown"


WORDS: Final = {
    State.GOOD: "good",
    State.BEHIND: "behind the newest version",
    State.BAD: "has a fault",
    State.UNKNOWN: "no report",
}


class Change(StrEnum):
    """What the draft does with a part of the map."""

    NONE = ""
    APPEARS = "appears"
    DIES = "dies"


@dataclass(frozen=True, slots=True)
class MapServer:
    """A server, or a pool without its servers: *about* is what the pointer shows, one line each."""

    name: str
    label: str
    state: State
    change: Change
    about: Sequence[str]
    x: int = 0
    y: int = 0
    width: int = WIDTH


@dataclass(frozen=True, slots=True)
class MapPool:
    """A box with its servers; *site* is that of all of them, "" if they have none, or several."""

    name: str
    role: str
    change: Change
    servers: Sequence[MapServer]
    site: str = ""
    x: int = 0
    y: int = 0
    width: int = 0
    height: int = 0


@dataclass(frozen=True, slots=True)
class MapLink:
    """A line between two places: *weight* is its thickness in pixels, by the messages so far."""

    one: str
    other: str
    state: State
    weight: int
    about: Sequence[str]
    x1: int = 0
    y1: int = 0
    x2: int = 0
    y2: int = 0


@dataclass(frozen=True, slots=True)
class MapSite:
    """A box around the pools of one site."""

    name: str
    x: int
    y: int
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class NetworkMap:
    """The whole drawing, in pixels; *note* says what it leaves out, empty if nothing.

    *between_pools*: a line leads from pool to pool. Then lines are drawn below the boxes, so that no line crosses out a name.
    """

    pools: Sequence[MapPool]
    links: Sequence[MapLink]
    width: int
    height: int
    note: str = ""
    sites: Sequence[MapSite] = ()
    between_pools: bool = False


def network_map(in_force: Topology, network: NetworkReply, draft: Topology | None = None) -> NetworkMap:
    """Draw the topology in force with the last reports, and what *draft* changes in it."""
    reports: dict[str, ServerReply] = {report.server: report for report in (network.master, *network.servers)}
    peers = {peer.peer: peer for peer in network.peers}
    refused = list(_refused(reports))
    told = [*_pools(in_force, network, reports, draft), *_partners(in_force, draft)]
    pools = [*(_with_peers(pool, peers) for pool in told), *_box_of_refused(refused)]
    count = sum(len(pool.servers) for pool in pools if pool.role != REFUSED)
    note = ""
    if count > MOST_SERVERS:
        pools = [_folded(pool) for pool in pools if pool.role != REFUSED]
        note = f"The map shows pools only: the network has {count} servers and partners, more than {MOST_SERVERS}."
    elif count > MOST_SINGLE:
        note = f"Lines are between pools: the network has {count} servers and partners, more than {MOST_SINGLE}."
    placed, sites, width, height = _placed(pools)
    links = _links(reports, placed, single=count <= MOST_SINGLE)
    if count <= MOST_SINGLE:
        links += _links_of_refused(refused, placed)
    return NetworkMap(placed, links, width, height, note, sites, between_pools=count > MOST_SINGLE)


# What there is


def _pools(
    in_force: Topology, network: NetworkReply, reports: Mapping[str, ServerReply], draft: Topology | None
) -> Iterator[MapPool]:
    now = {pool.name: pool for pool in in_force.pools}
    new = {pool.name: pool for pool in draft.pools} if draft is not None else now
    sites = in_force.site_of_each | (draft.site_of_each if draft is not None else {})
    for name in dict.fromkeys((*now, *new)):
        pool = new.get(name) or now[name]
        here = {server.name for server in now[name].servers} if name in now else set()
        there = {server.name for server in new[name].servers} if name in new else set()
        names = list(dict.fromkeys(server.name for p in (now.get(name), new.get(name)) if p for server in p.servers))
        servers = [
            _server(server, sites[server], reports, network.version, _change(server, here, there)) for server in names
        ]
        places = {sites[server] for server in names}
        site = next(iter(places)) if len(places) == 1 else ""
        yield MapPool(name, str(pool.role), _change(name, now, new), servers, site)


def _partners(in_force: Topology, draft: Topology | None) -> Iterator[MapPool]:
    now = {partner.name: partner for partner in in_force.federation.partners}
    new = {partner.name: partner for partner in draft.federation.partners} if draft is not None else now
    known = [
        MapServer(
            name, name, State.GOOD, _change(name, now, new), ("partner", *_scope({**new, **now}[name].identities))
        )
        for name in dict.fromkeys((*now, *new))
    ]
    if known:
        yield MapPool("partners", "partner", Change.NONE, known)


def _with_peers(pool: MapPool, peers: Mapping[str, PeerReply]) -> MapPool:
    """Return a pool in which applications and partners have the state that servers report of them."""
    return replace(pool, servers=[_peer(server, peers.get(server.name)) for server in pool.servers])


def _peer(server: MapServer, peer: PeerReply | None) -> MapServer:
    if peer is None:
        return server
    about = [line for line in server.about if line != NO_REPORT]
    state = State.BAD if peer.faults else State.GOOD
    return replace(server, state=state, about=[*about, *(fault.what for fault in peer.faults)])


def _scope(names: Iterable[str]) -> Iterator[str]:
    yield f"trusted for: {', '.join(names)}"


def _change(name: str, now: Iterable[str], new: Iterable[str]) -> Change:
    if name not in now:
        return Change.APPEARS
    return Change.NONE if name in new else Change.DIES


def _server(name: str, site: str, reports: Mapping[str, ServerReply], newest: int, change: Change) -> MapServer:
    report = reports.get(name)
    about = [name, *([f"site {site}"] if site else []), *_about(report)]
    return MapServer(name, name.partition(".")[0], _state(report, newest), change, about)


def _state(report: ServerReply | None, newest: int) -> State:
    if report is None or report.number is None:
        return State.UNKNOWN
    if report.faults:
        return State.BAD
    return State.GOOD if report.number == newest else State.BEHIND


def state_in_words(report: ServerReply | None, newest: int) -> tuple[State, str]:
    """Return the state of a server against the *newest* version, and how a page calls the state."""
    state = _state(report, newest)
    return state, WORDS[state]


def _about(report: ServerReply | None) -> Iterator[str]:
    if report is None or report.number is None:
        yield NO_REPORT
        return
    yield f"version {report.number} in force"
    if report.certificate is not None:
        yield f"certificate ends {tell_time(report.certificate.ends)}"
    yield from (f"{kind} links: {count}" for kind, count in report.links.items() if count)
    yield from (fault.what for fault in report.faults)


def _folded(pool: MapPool) -> MapPool:
    """Return a pool without its servers: one place says how many there are, and in which state."""
    counts = {state: sum(server.state is state for server in pool.servers) for state in State}
    worst = next((state for state in (State.BAD, State.UNKNOWN, State.BEHIND) if counts[state]), State.GOOD)
    about = [pool.name, *(f"{count} {state}" for state, count in counts.items() if count)]
    number = len(pool.servers)
    one = MapServer(pool.name, f"{number} server" + "s" * (number != 1), worst, pool.change, about)
    return replace(pool, servers=[one])


# Refused peers


@dataclass(frozen=True, slots=True)
class _Refused:
    """The peers that *server* has refused with the same verdict *code*: one line about each."""

    server: str
    code: str
    about: list[str]

    @property
    def name(self) -> str:
        return f"{self.code} at {self.server}"


def _refused(reports: Mapping[str, ServerReply]) -> Iterator[_Refused]:
    """Return the refusals of each server, by their code: a report has a line for each, which begins with the code."""
    for report in reports.values():
        by_code: dict[str, list[str]] = {}
        for line in report.refused:
            by_code.setdefault(line.partition(":")[0], []).append(line)
        yield from (_Refused(report.server, code, lines) for code, lines in by_code.items())


def _box_of_refused(refused: Sequence[_Refused]) -> Iterator[MapPool]:
    if refused:
        servers = [_place_of(one) for one in refused[:MOST_REFUSED]]
        yield MapPool("refused, last 10 min", REFUSED, Change.NONE, servers)


def _place_of(refused: _Refused) -> MapServer:
    label = f"{refused.code} at {refused.server.partition('.')[0]}"
    about = [refused.name, *refused.about]
    return MapServer(refused.name, label, State.BAD, Change.NONE, about, width=WIDE)


def _links_of_refused(refused: Iterable[_Refused], pools: Sequence[MapPool]) -> Iterator[MapLink]:
    places = _places(pools)
    for one in refused:
        if one.name in places and one.server in places:
            about = [f"{one.server} has refused: {one.code}", *one.about]
            yield MapLink(one.name, one.server, State.BAD, 1, about, *places[one.name], *places[one.server])


# Where it is drawn


def _placed(pools: Iterable[MapPool]) -> tuple[list[MapPool], list[MapSite], int, int]:
    """Return the pools with their places, the boxes of the sites, and the width and height of the drawing."""
    boxes = [_box(pool, 0, 0) for pool in pools]
    left, right = _columns(boxes)
    placed, sites, y = list[MapPool](), list[MapSite](), MARGIN
    for site in sorted({box.site for box in boxes}):
        mine = _stacked([box for box in boxes if box.site == site], left, y + HEAD if site else y)
        bottom = max(box.y + box.height for box in mine)
        if site:
            sites.append(MapSite(site, MARGIN - GAP, y, right - MARGIN + 2 * GAP, bottom + GAP - y))
        placed, y = placed + mine, bottom + 2 * GAP + (GAP if site else 0)
    return placed, sites, right + MARGIN, y


def _columns(boxes: Sequence[MapPool]) -> tuple[dict[str, int], int]:
    """Return where each column begins, and where the last one ends."""
    widths = {str(role): max((box.width for box in boxes if box.role == role), default=0) for role in COLUMNS}
    left, x = dict[str, int](), MARGIN
    for role, width in widths.items():
        if width:
            left[role] = x
            x += width + COLUMN_GAP
    return left, max(x - COLUMN_GAP, MARGIN)


def _stacked(boxes: Sequence[MapPool], left: Mapping[str, int], top: int) -> list[MapPool]:
    """Return the boxes in their columns, one below the other, from *top* on."""
    placed, bottom = list[MapPool](), dict.fromkeys(left, top)
    for box in sorted(boxes, key=lambda box: list(left).index(box.role)):
        y = bottom[box.role]
        servers = [replace(server, x=server.x + left[box.role], y=server.y + y) for server in box.servers]
        placed.append(replace(box, x=left[box.role], y=y, servers=servers))
        bottom[box.role] = y + box.height + 2 * GAP
    return placed


def _box(pool: MapPool, x: int, y: int) -> MapPool:
    across = 1 if pool.role == REFUSED else max(1, ceil(sqrt(len(pool.servers) / ROWS)))
    down, place = ceil(len(pool.servers) / across), max((server.width for server in pool.servers), default=WIDTH)
    servers = [
        replace(server, x=x + GAP + n % across * (place + GAP), y=y + HEAD + n // across * (HEIGHT + GAP))
        for n, server in enumerate(pool.servers)
    ]
    width, height = GAP + across * (place + GAP), HEAD + down * (HEIGHT + GAP)
    return replace(pool, servers=servers, x=x, y=y, width=width, height=height)


# The links


def _places(pools: Sequence[MapPool]) -> Mapping[str, tuple[int, int]]:
    """Return the centre of each place."""
    return {
        server.name: (server.x + server.width // 2, server.y + HEIGHT // 2) for pool in pools for server in pool.servers
    }


@dataclass(slots=True)
class _Line:
    """What is known of all links between two places."""

    messages: int = 0
    state: State = State.GOOD
    about: dict[str, None] = field(default_factory=dict)


def _links(reports: Mapping[str, ServerReply], pools: Sequence[MapPool], *, single: bool) -> list[MapLink]:
    places = _places(pools)
    boxes = {pool.name: (pool.x + pool.width // 2, pool.y + HEAD // 2) for pool in pools}
    pool_of = {server.name: pool.name for pool in pools for server in pool.servers}
    pool_of |= {report.server: pool for report in reports.values() if (pool := getattr(report, "pool", ""))}
    lines: dict[tuple[str, str], _Line] = {}
    for report in reports.values():
        for peer, state, messages, about in _ends(report):
            one, other = (report.server, peer) if single else (pool_of.get(report.server, ""), pool_of.get(peer, ""))
            if one == other:
                continue
            line = lines.setdefault((min(one, other), max(one, other)), _Line())
            line.messages += messages
            line.about[about] = None
            line.state = State.BAD if State.BAD in (state, line.state) else line.state
    known = places if single else boxes
    return [
        MapLink(one, other, line.state, _weight(line.messages), list(line.about), *known[one], *known[other])
        for (one, other), line in lines.items()
        if one in known and other in known
    ]


def _ends(report: ServerReply) -> Iterator[tuple[str, State, int, str]]:
    """Return each end of a link that a server reports: the peer, its state, its messages, and a line about it."""
    for neighbour in report.neighbours:
        yield neighbour.peer, State.GOOD, neighbour.messages, _line(report.server, neighbour)
    for peer in report.unanswered:
        yield peer, State.BAD, 0, f"{peer} does not answer {report.server}"


def _line(server: str, neighbour: Neighbour) -> str:
    ends = f", certificate ends {tell_time(neighbour.certificate_ends)}" if neighbour.certificate_ends else ""
    secured = " ".join(filter(None, (neighbour.tls, neighbour.group)))
    return f"{server} has proved {neighbour.peer}: {secured}{ends}, {neighbour.messages} messages"


def _weight(messages: int) -> int:
    """Return the thickness of a line: one pixel more for ten times the messages."""
    return 1 + round(log10(messages + 1))
