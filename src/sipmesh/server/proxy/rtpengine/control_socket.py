"""The control socket of rtpengine on loopback: commands go out, and each reply finds who waits for it (the ng protocol)."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Final, NamedTuple

from sipmesh.errors import RemoteError
from sipmesh.routing.media.bridging.ng import LONGEST_COMMAND, Command, datagram, fault_of, ping, read_reply, sdp_in
from sipmesh.routing.outcome import Answer
from sipmesh.sip.status import Status
from sipmesh.trust.code import Code

if TYPE_CHECKING:
    import asyncio

    from sipmesh.server.in_force.in_force import Current
    from sipmesh.server.quotas.limited_log import LimitedLog

HOST: Final = "127.0.0.1"
RESENT_S: Final = 0.25
"""Seconds after which a command is sent again: a full buffer may have lost it, also on loopback. rtpengine repeats its reply."""

TRIES: Final = 4
"""Times that a command is sent: a call waits for one second at most."""

MOST_WAITING: Final = 1_000
"""Commands without a reply.

A sender may have as many of them as there is room left for others: half of all if it is alone, a third if another one does the
same. So no sender takes the room of all.
"""

LONGEST_DATAGRAM: Final = 65_535
MOST_READ: Final = 64
"""Replies that are read in one turn of the event loop."""


class Fault(NamedTuple):
    """Why a message cannot pass rtpengine, and the SIP status that says so. *is_told*: rtpengine itself says it."""

    why: str
    status: int = Status.SERVER_INTERNAL_ERROR
    is_told: bool = False

    @property
    def refusal(self) -> Answer:
        """The answer to the sender of the message."""
        return Answer(self.status, code=Code.MEDIA_NOT_BRIDGED, why=self.why)


class AwaitedReply:
    """What goes on once rtpengine has answered."""

    def replied(self, sdp: bytes, fault: Fault | None) -> None:
        """Go on with the session description *sdp*, or with the *fault* that says why there is none."""
        raise NotImplementedError


class _Waiting:
    """A command that was sent as *octets*, *tries* times until now, and who waits for its reply; None if no part does.

    *sender* is the account of who has sent the message that needs it; "" if this server asks by itself.
    """

    __slots__ = ("awaited", "octets", "sender", "timer", "tries")

    def __init__(self, octets: bytes, awaited: AwaitedReply | None, sender: str) -> None:
        self.octets, self.awaited, self.sender, self.tries = octets, awaited, sender, 1
        self.timer: asyncio.TimerHandle | None = None


class ControlSocket:
    """The socket to the rtpengine of this host, at the port that is in force; it is opened with the first command.

    The kernel delivers datagrams of that address only, and each reply has the cookie of its command. *failed* counts commands
    without a useful reply, *heard* all replies; *is_away* says that the last command had no reply at all.
    """

    def __init__(self, current: Current, loop: asyncio.AbstractEventLoop, prefix: str, log: LimitedLog) -> None:
        self._current, self._loop, self._prefix, self._log = current, loop, prefix, log
        self._socket: socket.socket | None = None
        self._port = self._number = self.failed = self.heard = 0
        self.is_away = False
        self._waiting: dict[str, _Waiting] = {}
        self._of_senders: dict[str, int] = {}

    @property
    def port(self) -> int:
        """The port of the rtpengine that is in force; 0 if there is none."""
        return self._current.value.view.pool.rtpengine

    @property
    def fault(self) -> str:
        """Why rtpengine cannot be used; "" if it can, or if there is none."""
        return f"rtpengine does not answer at {HOST}:{self._port}" if self.is_away and self.port else ""

    @property
    def waiting(self) -> int:
        """How many commands wait for their reply."""
        return len(self._waiting)

    def has_room(self, sender: str = "") -> bool:
        """Tell whether a command of *sender* may wait."""
        return self._of_senders.get(sender, 0) < MOST_WAITING - len(self._waiting)

    def look(self) -> None:
        """Ask whether rtpengine answers, if there is one: a call should not be the first that sees that it does not."""
        if self.port:
            self.ask(ping(), None)

    def ask(self, command: Command, awaited: AwaitedReply | None, sender: str = "") -> None:
        """Send *command*; *awaited* goes on with the reply. Without a socket or room it goes on at once, with a fault.

        It takes the room of *sender*, or of this server itself.
        """
        self._number += 1
        cookie = f"{self._prefix}{self._number}"
        octets = datagram(cookie, command)
        waiting = _Waiting(octets, awaited, sender)
        if not self.port or not self.has_room(sender) or len(octets) > LONGEST_COMMAND:
            self._end(waiting, b"", f"a command of {len(octets)} octets cannot be sent to rtpengine now")
            return
        self._open()
        self._waiting[cookie] = waiting
        if sender:
            self._of_senders[sender] = self._of_senders.get(sender, 0) + 1
        waiting.timer = self._loop.call_later(RESENT_S, self._again, cookie)
        self._send(octets)

    def close(self) -> None:
        """Close the socket; who waits gets nothing any more."""
        for waiting in self._waiting.values():
            if waiting.timer is not None:
                waiting.timer.cancel()
        self._waiting.clear()
        self._of_senders.clear()
        if self._socket is not None:
            self._loop.remove_reader(self._socket.fileno())
            self._socket.close()
            self._socket = None

    def _open(self) -> None:
        """Open the socket, unless it is open to the port in force."""
        if self._socket is not None and self._port == self.port:
            return
        if self._socket is not None:
            self._loop.remove_reader(self._socket.fileno())
            self._socket.close()
        self._port = self.port
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.settimeout(0.0)
        self._socket.connect((HOST, self._port))
        self._loop.add_reader(self._socket.fileno(), self._readable)

    def _send(self, octets: bytes) -> None:
        """Send one datagram. A full buffer loses it, and a port without a listener refuses it: then it is sent again later."""
        if self._socket is not None:
            try:
                self._socket.send(octets)
            except OSError as wrong:
                self._log.debug("rtpengine not reached", why=str(wrong))

    def _again(self, cookie: str) -> None:
        waiting = self._waiting.get(cookie)
        if waiting is None:
            return
        if waiting.tries < TRIES:
            waiting.tries += 1
            waiting.timer = self._loop.call_later(RESENT_S, self._again, cookie)
            self._send(waiting.octets)
            return
        self._take(cookie)
        self.is_away = True
        self._end(waiting, b"", f"rtpengine does not answer at {HOST}:{self._port}")

    def _take(self, cookie: str) -> _Waiting | None:
        """Give what waits for the reply with *cookie*, which waits no longer."""
        waiting = self._waiting.pop(cookie, None)
        if waiting is not None and waiting.sender:
            left = self._of_senders[waiting.sender] - 1
            if left:
                self._of_senders[waiting.sender] = left
            else:
                del self._of_senders[waiting.sender]
        return waiting

    def _readable(self) -> None:
        for _ in range(MOST_READ):
            if self._socket is None:
                return
            try:
                octets = self._socket.recv(LONGEST_DATAGRAM)
            except BlockingIOError:
                return
            except OSError as wrong:  # no program listens at the port: the command is sent again
                self._log.debug("rtpengine not reached", why=str(wrong))
                continue
            self._received(octets)

    def _received(self, octets: bytes) -> None:
        self.is_away = False
        self.heard += 1
        try:
            cookie, reply = read_reply(octets)
        except RemoteError as wrong:
            self._log.warning("rtpengine", "rtpengine failed", why=str(wrong))
            return
        waiting = self._take(cookie)
        if waiting is not None:
            if waiting.timer is not None:
                waiting.timer.cancel()
            self._end(waiting, sdp_in(reply), fault_of(reply), is_told=True)

    def _end(self, waiting: _Waiting, sdp: bytes, why: str, *, is_told: bool = False) -> None:
        if why:
            self.failed += 1
            self._log.warning("rtpengine", "rtpengine failed", why=why)
        if waiting.awaited is not None:
            waiting.awaited.replied(sdp, Fault(why, is_told=is_told) if why else None)
