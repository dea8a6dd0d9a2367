"""One epoll for all links, in which the event loop also waits: the loop's selector is one more descriptor in it.

A wake-up reads what is ready, writes each link that has queued messages once, and only then closes sockets. So the number of
a closed descriptor cannot be used again within the same batch. If a wake-up brings a single message, what follows from the
message is written as it is sent: no other message could share the write, and the rest of our work overlaps with its travel.

A turn ends after `Limits.turn_s`, even if more is ready, and sooner if the loop has something to do: the rest is served
in the next turns, in its order, and the loop runs between two. A principal that has had far more CPU time than others
lately is served last.

Connections in their handshake have an epoll of their own, which is one more descriptor in the first. Each turn takes a few of
its events. In one epoll, thousands of phones that come back at once would be reported in each turn, for the few steps of a turn.
"""

from __future__ import annotations

import select
import time
from typing import TYPE_CHECKING, Final, Protocol

from sipmesh.routing.overload import Demand, OverloadControl
from sipmesh.transport.limits import Limits
from sipmesh.transport.reactor.call_watchdog import CallWatchdog
from sipmesh.transport.reactor.cpu_shares import CHARGED_S, CpuShares
from sipmesh.transport.reactor.deadlines import Deadlines, Timed
from sipmesh.transport.reactor.descriptors import DescriptorShortage
from sipmesh.transport.reactor.event_loop import Loop
from sipmesh.transport.reactor.queue_age import QueueProbe
from sipmesh.transport.reactor.turn_meter import TurnMeter
from sipmesh.transport.registry.registry import Registry
from sipmesh.transport.tls.pyopenssl import Room
from sipmesh.transport.watched import READ, Watched

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from sipmesh.transport.tap import Tap

BUSY_EVENTS: Final = 8
"""With more events in one turn, the age of the queue is measured."""

SHORT_TURN_S: Final = 0.002
"""A turn ends after this if the loop has something to do: what it does takes many steps, such as an answer to a command."""

SETTLE_ROUNDS: Final = 8  # links that make one another fail; what is left after these rounds waits for the next turn


class PendingClose(Protocol):
    """Something whose socket is to be closed once the batch is over."""

    def close_socket(self) -> None:
        """Close the socket."""


class Reactor:
    """The epoll, its turns, and what all links share: one read buffer, one heap of deadlines, one registry.

    *prompt* is true while the single message of a wake-up is served; a reader that finds more messages sets it to false.
    *probe* measures the age of the queue, and *overload* decides what is refused because of it.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, limits: Limits | None = None) -> None:
        self.loop = loop
        self.limits = limits or Limits()
        self.room = Room()
        self.links = Registry()
        self.leaving: set[PendingClose] = set()  # connections that wait for their peer to close them
        self.turns = 0
        self.meter = TurnMeter()
        self.watchdog = CallWatchdog()
        self.shares = CpuShares()
        self.wall_clock: Callable[[], float] = time.time  # by which certificates expire; unlike loop time it may jump
        self._clock: Callable[[], float] = loop.time
        self.now = self._clock()  # as of the current turn, or of the last one
        self._deadlines = Deadlines()
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = 0.0
        self._epoll = select.epoll()
        self._steps = select.epoll()  # connections that say nothing yet, and those in their handshake
        self._steps_fd = self._steps.fileno()
        self._stepping: set[int] = set()  # their descriptors
        self._watched: dict[int, Watched] = {}
        self._generation = 0
        self._left: list[Watched] = []  # what the last turn had no time for, and what has more to read
        self._dirty: list[Watched] = []
        self._closing: list[PendingClose] = []
        self._inside = False
        self._soon: asyncio.Handle | None = None
        self._closed = False
        self._most_events = self.limits.events_per_turn
        self._turn_s = self.limits.turn_s
        self._woken = False
        self.prompt = False
        self.tap: Tap | None = None  # while an operator traces
        limits = self.limits
        self.overload = OverloadControl(limits.queue_age_s, limits.queue_age_for_s, limits.queue_age_most_s)
        self.shortage = DescriptorShortage()
        self._loop_fd = self._join(loop)
        self.probe = QueueProbe(self._epoll, self._clock, self.overload, sees_idle=self._loop_fd is not None)
        self.watch(self.probe.fd, self.probe, 0)

    def _join(self, loop: asyncio.AbstractEventLoop) -> int | None:
        """Have one of the two wait inside the other. Returns the descriptor of the loop if it waits in ours, else None."""
        self._epoll.register(self._steps_fd, READ)
        inside = loop.wait_in(self) if isinstance(loop, Loop) else None
        if inside is None:
            loop.add_reader(self._epoll.fileno(), self._turn)
        else:
            self._epoll.register(inside, READ)
        return inside

    # Descriptors

    def watch(self, fd: int, watched: Watched, mask: int = READ) -> None:
        """Wait for events on *fd*; each registration gets a new generation."""
        self._generation += 1
        watched.generation, watched.events = self._generation, 0
        self._watched[fd] = watched
        self._epoll.register(fd, mask)

    def watch_steps(self, fd: int, watched: Watched) -> None:
        """Wait for octets on *fd*, a connection before the end of its handshake; `handshakes_per_turn` limits its events."""
        self._generation += 1
        watched.generation, watched.events = self._generation, 0
        self._watched[fd] = watched
        self._stepping.add(fd)
        self._steps.register(fd, READ)

    def steps_done(self, fd: int) -> None:
        """Serve *fd* with the links that are up from now on: its handshake is over."""
        if fd in self._stepping:
            self._stepping.discard(fd)
            self._steps.unregister(fd)
            self._epoll.register(fd, READ)

    def hand_over(self, fd: int, watched: Watched, mask: int) -> None:
        """Let *watched* have the events of *fd*, for which something else is registered, from the event *mask* on."""
        self._generation += 1
        watched.generation, watched.events = self._generation, 0
        self._watched[fd] = watched
        self._serve(watched, mask)

    def rewatch(self, fd: int, mask: int) -> None:
        """Wait for other events on *fd*."""
        if fd in self._stepping:
            self._steps.modify(fd, mask)
        else:
            self._epoll.modify(fd, mask)

    def unwatch(self, fd: int) -> None:
        """Stop waiting for *fd*; always call this before the socket is closed."""
        watched = self._watched.pop(fd, None)
        if watched is None:
            return
        watched.generation = watched.events = 0
        if fd in self._stepping:
            self._stepping.discard(fd)
            self._steps.unregister(fd)
        else:
            self._epoll.unregister(fd)

    # What links ask for

    def read_again(self, watched: Watched) -> None:
        """Continue to read in the next turn: TLS holds decrypted bytes that epoll does not report."""
        if not watched.events:
            self._left.append(watched)
        watched.events |= READ
        self._finish_soon()

    def dirty(self, watched: Watched) -> None:
        """Write what waits in *watched* at the end of this batch, or very soon if there is no batch."""
        self._dirty.append(watched)
        self._finish_soon()

    def close_later(self, pending: PendingClose) -> None:
        """Close the socket of *pending* at the end of this batch, or very soon if there is no batch."""
        self._closing.append(pending)
        self._finish_soon()

    def set_alarm(self, timed: Timed, when: float) -> None:
        """Wake *timed* at loop time *when* at the latest."""
        self._deadlines.set(timed, when)
        self._arm()

    # The loop that waits here

    def wait(self, timeout: float | None) -> bool:
        """Serve the links until the loop has something to do; see :meth:`sipmesh.transport.reactor.event_loop.Host.wait`."""
        self._woken = False
        has_work = timeout is not None and timeout <= 0
        self._turn_s = min(self.limits.turn_s, SHORT_TURN_S) if has_work else self.limits.turn_s
        until = 0.0 if timeout is None else self._clock() + timeout
        remaining = timeout
        while not self._turn(0 if self._left else remaining):
            if self._woken:
                return False
            if timeout is not None:
                remaining = until - self.now
                if remaining <= 0:
                    return False
        return True

    def wake(self) -> None:
        """See :meth:`sipmesh.transport.reactor.event_loop.Host.wake`."""
        self._woken = True

    # Turns

    def _turn(self, timeout: float | None = 0) -> bool:
        """Handle one wake-up: first links that are up, then ``handshakes_per_turn`` steps; True if the loop has events too."""
        before = 0.0 if timeout == 0 else self._clock()
        if self._loop_fd is not None:  # the loop waits only here: all since the last wake-up was one turn
            self.meter.ended(self._clock() - self.now)
        events = self._epoll.poll(timeout, self._most_events)
        self.now = self._clock()
        probe = self.probe
        if before:
            probe.idle_s += self.now - before
        self.turns += 1
        self._inside = True
        newest = self._generation
        ready, self._left = self._left, []
        waiting: list[tuple[Watched, int]] = []
        ours: tuple[int, ...] = ()  # the loop, and the epoll of handshakes
        count = len(ready) if ready else 0
        for fd, mask in events:
            count += 1
            watched_now = self._watched.get(fd)
            if watched_now is None:
                ours += (fd,)
            elif watched_now.greeting:
                waiting.append((watched_now, mask))
            else:
                if not watched_now.events:
                    ready += [watched_now]
                watched_now.events |= mask
        if ready:
            self._serve_all(ready, alone=count == 1)
        if waiting or self._steps_fd in ours:
            self._serve_steps(waiting, newest)
        self._inside = False
        self._finish()
        if count > BUSY_EVENTS or probe.backlog > 0 or self.overload.active:
            probe.arm()
        return self._loop_fd in ours

    @property
    def is_turn_over(self) -> bool:
        """Whether this turn has lasted for as long as it may: what can wait waits for the next one."""
        return self._clock() - self.now > self._turn_s

    def _heavy_last(self, ready: list[Watched]) -> list[Watched]:
        """Put what is *ready* of principals that have had far more than others behind the rest.

        The probe measures how long others wait. That is until one descriptor of each of these was served that was ready before
        the probe: what waits longer waits for its own principal. A turn may serve one of them and end.
        """
        heavy = set[Demand]()
        fair: list[Watched] = []
        first: list[Watched] = []  # of each heavy principal, and the probe
        further: list[Watched] = []
        for watched in ready:
            demand = watched.principal()
            if watched is self.probe:
                first.append(watched)
            elif demand is None or not self.shares.is_heavy(demand, self.now):
                fair.append(watched)
            elif demand in heavy:
                further.append(watched)
            else:
                heavy.add(demand)
                first.append(watched)
        return fair + first + further if heavy else ready

    def _serve_all(self, ready: list[Watched], *, alone: bool) -> None:
        """Serve what is *ready* until this turn is over. *alone*: it is the only one that is ready."""
        before, until = self.now, self.now + self._turn_s
        if not alone and self.now < self.shares.heavy_until:
            ready = self._heavy_last(ready)
        for at, watched in enumerate(ready):
            mask, watched.events = watched.events, 0
            if not mask:
                continue  # given up within this batch
            self.prompt = alone
            try:
                watched.ready(mask)
            except Exception as error:  # noqa: BLE001 - a bug while one link is served must not reach another link
                self._failed(watched, error)
            self.prompt = False
            if alone:
                return  # no caller waits
            now = self._clock()
            if now - before > CHARGED_S:
                self.shares.charge(watched.principal(), now - before, now, self.meter.total)
            if now > until:
                self._left = ready[at + 1 :] + self._left
                return
            before = now

    def _serve_steps(self, waiting: list[tuple[Watched, int]], newest: int) -> None:
        """Take the handshake steps of one turn: of connections that we open, and of those that others have opened.

        The others are reported again in the next turn; the kernel gives each its turn.
        """
        for watched, mask in waiting[: self.limits.handshakes_per_turn]:
            if 0 < watched.generation <= newest:
                self._serve(watched, mask)
        newest = self._generation
        for fd, mask in self._steps.poll(0, self.limits.handshakes_per_turn):
            stepping = self._watched.get(fd)
            if stepping is not None and stepping.generation <= newest:
                self._serve(stepping, mask)

    def _serve(self, watched: Watched, mask: int) -> None:
        try:
            watched.ready(mask)
        except Exception as error:  # noqa: BLE001 - see _serve_all
            self._failed(watched, error)

    def _failed(self, watched: Watched, error: Exception) -> None:
        self._report(error, watched)
        watched.broken(error)

    def _report(self, error: Exception, where: object) -> None:
        self.loop.call_exception_handler({"message": f"fault while serving {where!r}", "exception": error})

    def _finish_soon(self) -> None:
        if not self._inside and self._soon is None and not self._closed:
            self._soon = self.loop.call_soon(self._turn if self._left else self._finish)

    def _finish(self) -> None:
        """End the batch: write, then close; both may make the server layer write again, at most ``SETTLE_ROUNDS`` times."""
        self._soon = None
        self._inside = True
        for _ in range(SETTLE_ROUNDS):
            self._flush()
            if not self._closing:
                break
            self._bury()
        self._inside = False
        if self._dirty or self._closing or self._left:
            self._finish_soon()

    def _flush(self) -> None:
        dirty, self._dirty = self._dirty, []
        for watched in dirty:
            try:
                watched.flush()
            except Exception as error:  # noqa: BLE001 - see _serve_all
                self._failed(watched, error)

    def _bury(self) -> None:
        closing_now, self._closing = self._closing, []
        for pending in closing_now:
            try:
                pending.close_socket()
            except Exception as error:  # noqa: BLE001 - see _serve_all
                self._report(error, pending)

    # Time

    def _arm(self) -> None:
        earliest = self._deadlines.earliest()
        if earliest is None or (self._timer is not None and self._timer_at <= earliest):
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer_at = earliest
        self._timer = self.loop.call_at(earliest, self._on_time)

    def _on_time(self) -> None:
        self._timer = None
        self._inside = True
        for timed in self._deadlines.due(self._clock()):
            self._act_on_alarm(timed)
        self._inside = False
        self._arm()
        self._finish()

    def _act_on_alarm(self, timed: Timed) -> None:
        try:
            timed.due(self._clock())
        except Exception as error:  # noqa: BLE001 - see _serve_all
            self._report(error, timed)
            timed.broken(error)

    def close(self) -> None:
        """Stop: close the links that are left, and report their end; the owner closes the listeners before."""
        if self._closed:
            return
        for link in self.links:
            link.close("this server stops")
        if self._soon is not None:
            self._soon.cancel()  # `_finish` forgets it, and a turn cannot poll what is closed
        self._finish()
        for closing in list(self.leaving):
            closing.close_socket()
        self._closed = True
        self.watchdog.stop()
        self.probe.close()
        if isinstance(self.loop, Loop) and self._loop_fd is not None:
            self.loop.leave(self)
        else:
            self.loop.remove_reader(self._epoll.fileno())
        for handle in (self._timer, self._soon):
            if handle is not None:
                handle.cancel()
        self._steps.close()
        self._epoll.close()
