"""The map of the network: where each server is drawn, which links there are, and what a draft would change.

The map has a column for each role, a box for each pool, and a place for each server. The pools of a site are in a box of their
own, below what belongs to no single site. A box before them has the peers that servers have refused in the last ten minutes, one
place for each server and verdict code. There are two drawings: for a wide window with columns, and for a narrow one with all
boxes below each other, and links between pools beside them. With more servers than `MOST_SERVERS` both show pools without their
servers; with more than `MOST_SINGLE` both have links between pools only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
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
    from sipmesh.topology.document.parts.federation import Partner

MOST_SERVERS: Final = 300
MOST_SINGLE: Final = 40

HEAVIEST: Final = 4
"""Thickness of the busiest links, in pixels."""

MOST_ABOUT: Final = 12
"""Lines about one link: the page of the link has all."""

MOST_REFUSED: Final = 12
"""Places for refused peers; the newest of each server are drawn first."""

REFUSED: Final = "refused"
NO_REPORT: Final = "no report yet"
NO_LINK: Final = "no link now"
COLUMNS: Final = (
    REFUSED,
    "partner",
    *map(str, (Role.EDGE, Role.GATEWAY, Role.FRONT_END, Role.APPLICATION, Role.MANAGEMENT)),
)
SHARED: Final = {str(Role.GATEWAY): str(Role.EDGE)}
"""Gateways are drawn below the edges: in columns beside each other, the links of one would pass behind the other."""

WIDTH, HEIGHT, GAP, HEAD, MARGIN = 128, 28, 8, 28, 12
"""Of a server in the drawing, between two of them, of the heading of a pool, and around a column, in pixels."""

COLUMN_GAP: Final = 36
MOST_WIDTH: Final = 1060
"""Width of the wide drawing: a pool with many servers becomes higher, not wider. With all columns it cannot be less."""

GUTTER: Final = 44
"""Width at the left of the narrow drawing, for its links."""

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
    State.UNKNOWN: "no report or no link",
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
    height: int = HEIGHT


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

    @property
    def label(self) -> str:
        """The first label of its name; the name as it is, where it is no host name."""
        return self.name if " " in self.name else self.name.partition(".")[0]


@dataclass(frozen=True, slots=True)
class MapLink:
    """A line between two places, along an SVG *path*: *weight* is its thickness in pixels, by the messages so far."""

    one: str
    other: str
    state: State
    weight: int
    about: Sequence[str]
    path: str = ""


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


def network_map(
    in_force: Topology, network: NetworkReply, draft: Topology | None = None, *, narrow: bool = False
) -> NetworkMap:
    """Draw the topology in force with the last reports, and what *draft* changes in it; *narrow*: for a small window."""
    reports: dict[str, ServerReply] = {report.server: report for report in (network.master, *network.servers)}
    peers = {peer.peer: peer for peer in network.peers}
    told = [*_pools(in_force, network, reports, draft), *_partners(in_force, draft, linked_peers(network))]
    pools = [*(_with_peers(pool, peers) for pool in told), *_box_of_refused(list(_refused(reports)))]
    count = sum(len(pool.servers) for pool in pools if pool.role != REFUSED)
    note = ""
    if count > MOST_SERVERS:
        pools = [_folded(pool) for pool in pools if pool.role != REFUSED]
        note = f"The map shows pools only: the network has {count} servers and partners, more than {MOST_SERVERS}."
    elif count > MOST_SINGLE:
        note = f"Lines are between pools: the network has {count} servers and partners, more than {MOST_SINGLE}."
    placed, sites, width, height = _placed(pools, narrow=narrow)
    single = count <= MOST_SINGLE and not narrow
    links = _links(reports, placed, single=single, path=_beside if narrow else _between)
    return NetworkMap(placed, links, width, height, note, sites, between_pools=not single)


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


def linked_peers(network: NetworkReply) -> set[str]:
    """Return the peers to which a server has a link."""
    return {one.peer for report in (network.master, *network.servers) for one in report.neighbours}


def _partners(in_force: Topology, draft: Topology | None, linked: set[str]) -> Iterator[MapPool]:
    now = {partner.name: partner for partner in in_force.federation.partners}
    new = {partner.name: partner for partner in draft.federation.partners} if draft is not None else now
    known = [_partner(partner, _change(name, now, new), linked) for name, partner in {**new, **now}.items()]
    if known:
        yield MapPool("partners", "partner", Change.NONE, known)


def _partner(partner: Partner, change: Change, linked: set[str]) -> MapServer:
    """Place a partner: without a link, whether it answers is unknown."""
    is_linked = not linked.isdisjoint(partner.identities)
    about = ["partner", *_scope(partner.identities), *([] if is_linked else [NO_LINK])]
    return MapServer(partner.name, partner.name, State.GOOD if is_linked else State.UNKNOWN, change, about)


def _with_peers(pool: MapPool, peers: Mapping[str, PeerReply]) -> MapPool:
    """Return a pool in which applications and partners have the state that servers report of them."""
    return replace(pool, servers=[_peer(server, peers.get(server.name)) for server in pool.servers])


def _peer(server: MapServer, peer: PeerReply | None) -> MapServer:
    if peer is None:
        return server
    about = [line for line in server.about if line != NO_REPORT]
    unlinked = State.UNKNOWN if NO_LINK in about else State.GOOD
    return replace(
        server, state=State.BAD if peer.faults else unlinked, about=[*about, *(fault.what for fault in peer.faults)]
    )


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
        yield MapPool("refused, 10 min", REFUSED, Change.NONE, servers)


def _place_of(refused: _Refused) -> MapServer:
    label = f"{refused.code} at {refused.server.partition('.')[0]}"
    about = [refused.name, *refused.about]
    return MapServer(refused.name, label, State.BAD, Change.NONE, about)


# Where it is drawn


def _placed(pools: Sequence[MapPool], *, narrow: bool) -> tuple[list[MapPool], list[MapSite], int, int]:
    """Return the pools with their places, the boxes of the sites, and the width and height of the drawing."""
    boxes = [_box(pool, 2) for pool in pools] if narrow else _boxes_that_fit(pools)
    left, right = ({}, _end(boxes)) if narrow else _columns(boxes)
    placed, sites, y = list[MapPool](), list[MapSite](), MARGIN
    for site in sorted({box.site for box in boxes}):
        mine = _stacked([box for box in boxes if box.site == site], left, y + HEAD if site else y)
        bottom = max(box.y + box.height for box in mine)
        if site:
            x = (GUTTER if narrow else MARGIN) - GAP
            sites.append(MapSite(site, x, y, right - x + GAP, bottom + GAP - y))
        placed, y = placed + mine, bottom + 2 * GAP + (GAP if site else 0)
    return placed, sites, right + MARGIN, y


def _boxes_that_fit(pools: Sequence[MapPool]) -> list[MapPool]:
    """Return the boxes, as many servers across as `MOST_WIDTH` has room for, and not more than looks well."""
    rows = ROWS
    while True:
        boxes = [_box(pool, ceil(sqrt(len(pool.servers) / rows))) for pool in pools]
        if _columns(boxes)[1] <= MOST_WIDTH or all(box.width <= _box(box, 1).width for box in boxes):
            return boxes
        rows *= 2


def _end(boxes: Iterable[MapPool]) -> int:
    return GUTTER + max((box.width for box in boxes), default=0)


def _columns(boxes: Sequence[MapPool]) -> tuple[dict[str, int], int]:
    """Return where each column begins, and where the last one ends."""
    widths = dict.fromkeys(COLUMNS, 0)
    for box in boxes:
        column = SHARED.get(box.role, box.role)
        widths[column] = max(widths[column], box.width)
    left, x = dict[str, int](), MARGIN
    for column, width in widths.items():
        if width:
            left[column] = x
            x += width + COLUMN_GAP
    return left | {role: left[column] for role, column in SHARED.items() if column in left}, max(x - COLUMN_GAP, MARGIN)


def _stacked(boxes: Sequence[MapPool], left: Mapping[str, int], top: int) -> list[MapPool]:
    """Return the boxes in their columns, one below the other, from *top* on; without columns in one, beside the gutter."""
    placed, bottom = list[MapPool](), dict.fromkeys(left.values() or (GUTTER,), top)
    for box in sorted(boxes, key=lambda box: COLUMNS.index(box.role)):
        x = left.get(box.role, GUTTER)
        y = bottom[x]
        servers = [replace(server, x=server.x + x, y=server.y + y) for server in box.servers]
        placed.append(replace(box, x=x, y=y, servers=servers))
        bottom[x] = y + box.height + 2 * GAP
    return placed


def _box(pool: MapPool, most_across: int) -> MapPool:
    across = max(1, min(most_across, len(pool.servers)))
    down = ceil(len(pool.servers) / across)
    servers = [
        replace(server, x=GAP + n % across * (WIDTH + GAP), y=HEAD + n // across * (HEIGHT + GAP))
        for n, server in enumerate(pool.servers)
    ]
    width, height = GAP + across * (WIDTH + GAP), HEAD + down * (HEIGHT + GAP)
    return replace(pool, servers=servers, width=width, height=height)


# The links

Place = MapServer | MapPool


def _between(one: Place, other: Place) -> str:
    """Return a line from side to side; in the same column, beside the places."""
    first, second = sorted((one, other), key=lambda place: (place.x, place.y))
    begins, ends = first.x + first.width, second.x
    y1, y2 = first.y + first.height // 2, second.y + second.height // 2
    if begins > ends:
        x = max(begins, second.x + second.width)
        return f"M{begins} {y1}C{x + COLUMN_GAP} {y1} {x + COLUMN_GAP} {y2} {second.x + second.width} {y2}"
    half = (begins + ends) // 2
    return f"M{begins} {y1}C{half} {y1} {half} {y2} {ends} {y2}"


def _beside(one: Place, other: Place) -> str:
    """Return a line at the left of the places, the further out the longer it is."""
    y1, y2 = one.y + one.height // 2, other.y + other.height // 2
    x = (
        4 * max(GUTTER - 8 - abs(y2 - y1) // 10, 2) - GUTTER
    ) // 3  # a cubic curve comes to three quarters of the way there
    return f"M{one.x} {y1}C{x} {y1} {x} {y2} {other.x} {y2}"


@dataclass(slots=True)
class _Line:
    """What is known of all links between two places."""

    messages: int = 0
    state: State = State.GOOD
    about: dict[str, None] = field(default_factory=dict)


def _links(
    reports: Mapping[str, ServerReply],
    pools: Sequence[MapPool],
    *,
    single: bool,
    path: Callable[[Place, Place], str],
) -> list[MapLink]:
    places: dict[str, Place] = {server.name: server for pool in pools for server in pool.servers}
    boxes: dict[str, Place] = {pool.name: pool for pool in pools}
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
        MapLink(
            one,
            other,
            line.state,
            _weight(line.messages),
            list(line.about)[:MOST_ABOUT],
            path(known[one], known[other]),
        )
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
    """Return the thickness of a line: one pixel more for a hundred times the messages."""
    return min(1 + round(log10(messages + 1) / 2), HEAVIEST)
