"""Every limit of the links, each with a name, a reason and a setting."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any, Final

from sipmesh.sip.framing import ReadLimits
from sipmesh.trust.evidence import LinkKind


def _limit(default: Any, reason: str) -> Any:
    """Declare one limit: its default value, and why it exists."""
    return field(default=default, metadata={"reason": reason})


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits of time in seconds (``_s``), of memory in bytes (``_bytes``), and of counts."""

    handshake_s: float = _limit(5.0, "a peer that stalls in the handshake holds a descriptor and a context")
    connect_s: float = _limit(3.0, "a silent address must not keep the next candidate waiting")
    dial_s: float = _limit(15.0, "the request that waits for the link has half a minute in all (RFC 3261 timer F)")
    candidates: int = _limit(16, "DNS of another organisation must not send us round hundreds of addresses")
    penalty_s: float = _limit(30.0, "an address that has just failed is tried last, so that a retry meets the next one")
    redial_s: float = _limit(0.25, "a peer that refuses us is not dialled once per request")
    handshakes_per_address: int = _limit(64, "handshakes are the most expensive work that an unknown peer can cause")
    handshakes_in_flight: int = _limit(512, "the same, for a flood from many addresses")
    slow_s: float = _limit(
        1.5,
        "a peer that takes this long for its ClientHello loses its place, if others wait; for the rest it has `handshake_s`",
    )
    silent_s: float = _limit(
        20.0, "a connection that has sent nothing takes a descriptor only, and its phone may wait for its own processor"
    )
    waiting_in_all: int = _limit(
        16_384,
        "connections wait for their first octets and for their handshake; beyond, they wait in the kernel's queue",
    )
    silent_per_address: int = _limit(64, "a ClientHello that has begun and does not end occupies a place")
    silent_in_all: int = _limit(512, "the same, for many addresses; these never replace a handshake")
    descriptors_kept: int = _limit(
        256, "server links, files, control and metrics need descriptors when clients have taken all others"
    )
    handshakes_per_turn: int = _limit(4, "each step blocks for up to 0.8 ms while relayed messages wait")
    accepts_per_turn: int = _limit(32, "a queue of new connections must not starve the links that are up")
    farewell_s: float = _limit(
        2.0, "a refused peer that still sends would lose the TLS alert if the socket was closed at once"
    )
    farewell_bytes: int = _limit(65_536, "data from a refused peer is read and discarded")
    farewells: int = _limit(128, "a refused peer that stays connected occupies a descriptor")
    accept_pause_s: float = _limit(0.5, "without free descriptors accept fails at once, again and again")
    events_per_turn: int = _limit(256, "timers, DNS and the control socket run between two turns")
    turn_s: float = _limit(
        0.02, "what is ready after this waits for the next turn: timers, revocations and other processes have theirs"
    )
    turn_bytes_client: int = _limit(8_192, "one busy link must not keep the others waiting")
    turn_bytes_server: int = _limit(
        131_072, "the same for a link of a server, which brings the responses to the requests of many clients"
    )
    turn_bytes_partner: int = _limit(
        32_768, "the same for a link of a partner, which has users too, and must not keep our own waiting"
    )
    queue_age_s: float = _limit(0.1, "inputs that wait longer are answered late; the load has to be less")
    queue_age_for_s: float = _limit(0.5, "a short burst is served, and nothing of it is refused")
    queue_age_most_s: float = _limit(0.5, "from this age on more than a fifth of the new requests may be refused")
    receive_client_bytes: int = _limit(
        32_768, "what a client has sent beyond this waits at the client, and not in memory of our kernel"
    )
    links_opened_per_peer: int = _limit(4, "more connections to one server gain nothing")
    links_accepted_per_peer: int = _limit(16, "a server that keeps opening links is broken or hostile")
    busy_bytes: int = _limit(262_144, "a link with this much unsent is worth a second one beside it")
    queue_client_bytes: int = _limit(1_048_576, "a client that does not read must not fill our memory")
    queue_stranger_bytes: int = _limit(
        49_152, "before a login only a response waits, which may repeat a header of 32 KiB"
    )
    queue_server_bytes: int = _limit(16_777_216, "the same for a server, which carries many users and bodies of 5 MB")
    queue_reserved_bytes: int = _limit(
        131_072, "short answers, ACK and CANCEL find room where messages of others have filled a queue"
    )
    stall_s: float = _limit(20.0, "a peer that takes no byte for this long does not read")
    drain_s: float = _limit(5.0, "a link that is being drained ends, also if its peer does not read")
    probe_s: float = _limit(1.0, "on a link between servers without traffic, a keepalive shows that the peer lives")
    probe_answer_s: float = _limit(
        1.5, "a server whose loop is busy for a second still answers; requests wait for a server that hangs"
    )
    server_dial_s: float = _limit(
        2.5, "requests wait while a server of ours is dialled, and for the answer to its handshake"
    )
    trial_pause_s: float = _limit(4.0, "a server that answers again is used soon, and costs a dial until then")
    stop_s: float = _limit(
        8.0, "`systemctl stop` returns within 15 s, also if requests get no answer; `drain_s` comes on top"
    )
    released_per_s: int = _limit(
        1_000, "phones whose links are closed log in elsewhere, and each login costs a handshake there"
    )
    calls_named: int = _limit(
        10_000,
        "calls that are up are kept for status and log; beyond, and beyond the branches of its caller, the oldest is forgotten",
    )
    authenticate_s: float = _limit(
        60.0, "a client, or a trunk without a certificate, that has not authenticated occupies memory"
    )
    keepalive_s: float = _limit(
        240.0, "a client that has sent keepalives promised one every two minutes (RFC 5626 4.4.1)"
    )
    login_s: float = _limit(
        10.0, "a phone may need seconds for each of its two requests, and its link keeps its place, also if others wait"
    )
    strangers_per_address: int = _limit(
        256, "links without a login are free to open; an office behind an address needs few at a time"
    )
    strangers_in_all: int = _limit(
        2_048, "the same, for many addresses; the oldest link of the address with most is closed"
    )
    links_per_user: int = _limit(32, "a user has a few devices; more links take descriptors and memory of others")
    branches_per_user: int = _limit(1_000, "a user waits for a few answers at once, each at ten devices at most")
    branches_per_partner: int = _limit(5_000, "a partner has many users, and shares an edge with other partners")
    users_per_partner: int = _limit(
        10_000, "a partner that addresses this many different users in an hour tries names, to find those that exist"
    )
    users_per_sender: int = _limit(
        2_000, "one user of a partner may not take all that the other users of the partner may address"
    )
    branches_per_server: int = _limit(20_000, "a server carries many users and partners, and may be compromised")
    octets_per_user: int = _limit(67_108_864, "bodies are held until a request is over: calls for half a minute")
    octets_per_partner: int = _limit(134_217_728, "the same for a partner")
    octets_per_server: int = _limit(536_870_912, "the same for a server")
    log_window_s: float = _limit(10.0, "lines that peers cause are summed over this time")
    log_lines_per_principal: int = _limit(
        10, "of each event, for each address, user and server, before they are summed"
    )
    log_lines_in_all: int = _limit(200, "the same for all peers together: a full disk stops more than the log")
    message_s: float = _limit(32.0, "the sender of a message has given it up by then (RFC 3261 timer F)")
    message_bytes_per_s: int = _limit(4_096, "extra time for each octet of the message that has arrived")
    keepalives_per_s: float = _limit(
        4.0, "a link of a client with more is closed: `too many keepalives`. A phone sends one each minute or two"
    )
    keepalives_at_once: int = _limit(50, "a network that was away for a moment delivers what has waited")
    server_keepalives_per_s: float = _limit(
        16.0, "the same for a server or a partner: one probes each second, and others each minute"
    )
    server_keepalives_at_once: int = _limit(
        1_000, "a server whose process has stood still delivers the answers to many probes at once"
    )
    idle_s: float = _limit(
        7_200.0, "a client without keepalives stays until its registration expires, at most two hours"
    )
    websocket_ping_s: float = _limit(
        30.0, "a browser sends no keepalive, and a browser that is gone must not hold its link: the server pings it"
    )
    websocket_pong_s: float = _limit(30.0, "a peer that does not answer a ping is gone, or does not read")
    websocket_fragments: int = _limit(
        1_024, "empty fragments of a message take time, and no room that other limits see"
    )
    websocket_frames_per_read: int = _limit(
        128, "a frame of no octets costs as much time as a long one: one read of 16 KiB could have 2,700"
    )
    start_line_bytes: int = _limit(16_384, "method and Request-URI; longer is 414")
    header_bytes: int = _limit(65_536, "all header fields of one message")
    header_stranger_bytes: int = _limit(
        32_768, "before a login, more is 513 and the link ends: an INVITE with credentials has a few thousand"
    )
    body_client_bytes: int = _limit(131_072, "what a client may send in one body")
    body_stranger_bytes: int = _limit(16_384, "before a login, more is 413 and the link ends: a REGISTER has no body")
    body_server_bytes: int = _limit(5_000_000, "what another server may forward in one body")

    def turn_bytes(self, kind: LinkKind) -> int:
        """Tell how many octets one turn reads of a link of *kind*, before it reads the next link."""
        if kind is LinkKind.SERVER:
            return self.turn_bytes_server
        return self.turn_bytes_client if kind is LinkKind.CLIENT else self.turn_bytes_partner

    def queue_bytes(self, kind: LinkKind) -> int:
        """Return how many octets may wait to be written on a link of *kind*."""
        return self.queue_client_bytes if kind is LinkKind.CLIENT else self.queue_server_bytes

    def queue_bytes_at_first(self, kind: LinkKind) -> int:
        """Return the same for a link on which no user has logged in yet."""
        return (
            min(self.queue_stranger_bytes, self.queue_client_bytes)
            if kind is LinkKind.CLIENT
            else self.queue_server_bytes
        )

    def reading(self, kind: LinkKind) -> ReadLimits:
        """Return the limits of the message reader of a link of *kind*; equal limits are one shared object."""
        body = self.body_client_bytes if kind is LinkKind.CLIENT else self.body_server_bytes
        return shared_limits(self.start_line_bytes, self.header_bytes, body)

    def reading_at_first(self, kind: LinkKind) -> ReadLimits:
        """Return the same for an accepted link on which no user has logged in yet: a stranger may fill little memory.

        A header of a client has not grown on its way, so a longer one ends the link at once.
        """
        if kind is not LinkKind.CLIENT:
            return self.reading(kind)
        header = min(self.header_stranger_bytes, self.header_bytes)
        body = min(self.body_stranger_bytes, self.body_client_bytes)
        return shared_limits(self.start_line_bytes, header, body, growth=0)


def shared_limits(start_line: int, header: int, body: int, growth: int = ReadLimits().growth) -> ReadLimits:
    """Return one shared object for equal limits, because every link refers to one."""
    named = start_line, header, body, growth
    limits = _shared.get(named)
    if limits is None:
        limits = ReadLimits(start_line=start_line, header=header, growth=growth, body=body)
        if len(_shared) < _MOST_SHARED:
            _shared[named] = limits
    return limits


_shared: Final[dict[tuple[int, int, int, int], ReadLimits]] = {}
_MOST_SHARED: Final = 64
"""Limits are set once for each server of this process, so that there are few."""


def reasons() -> dict[str, str]:
    """Return every limit with its reason, for the documentation and ``--help``."""
    return {limit.name: str(limit.metadata["reason"]) for limit in fields(Limits)}
