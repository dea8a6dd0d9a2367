"""An event loop on virtual time that schedules several processes; its order follows from the seed."""

from __future__ import annotations

import asyncio
import heapq
from asyncio import events
from collections import deque
from contextvars import Context, copy_context
from typing import TYPE_CHECKING, Any, cast

from simulation.processes import CURRENT, ProcessState

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Coroutine

    from simulation.processes import Process

LONGEST_BATCH = 100_000
"""Steps without a moment of virtual time: more are a loop without an end."""


class StuckError(RuntimeError):
    """Something schedules itself again and again, and virtual time stands still."""


class VirtualLoop:
    """Runs the handles of each process in order; which process is next is drawn from *chance*.

    A handle belongs to the process in its context. Handles of a hung process wait until it continues. Handles of a dead process
    are dropped. Time is in seconds since the start, and moves only when no process can run.
    """

    def __init__(self, chance: random.Random, failed: Callable[[str, dict[str, Any]], None]) -> None:
        self.now = 0.0
        self.steps = 0
        self._chance, self._failed = chance, failed
        self._ready: dict[Process | None, deque[asyncio.Handle]] = {}
        self._timers: list[tuple[float, int, asyncio.TimerHandle]] = []
        self._order = 0
        self._readers: dict[int, asyncio.Handle] = {}
        self._running: Process | None = None
        self.loop = cast("asyncio.AbstractEventLoop", self)  # as asyncio knows it, which uses only what this class has

    # Time

    def time(self) -> float:
        """Return the seconds since the start."""
        return self.now

    # Scheduling

    def call_soon(self, callback: Callable[..., object], *args: Any, context: Context | None = None) -> asyncio.Handle:
        """Run *callback* in the next turn of its process."""
        handle = asyncio.Handle(callback, args, self.loop, context)
        self._put(handle)
        return handle

    call_soon_threadsafe = call_soon

    def call_later(
        self, delay: float, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        """Run *callback* after *delay* seconds."""
        return self.call_at(self.now + delay, callback, *args, context=context)

    def call_at(
        self, when: float, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        """Run *callback* at loop time *when*."""
        timer = asyncio.TimerHandle(when, callback, args, self.loop, context)
        self._order += 1
        heapq.heappush(self._timers, (when, self._order, timer))
        return timer

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        """Do nothing: a cancelled timer is skipped at its time."""

    def _put(self, handle: asyncio.Handle) -> None:
        process = _process_of(handle)
        if process is not None and not process.alive:
            return
        queue = self._ready.get(process)
        if queue is None:
            queue = self._ready[process] = deque()
        queue.append(handle)

    def add_reader(self, fd: int, callback: Callable[..., object], *args: Any) -> None:
        """Call *callback* each time `wake` is called for *fd*."""
        self._readers[fd] = asyncio.Handle(callback, args, self.loop, None)

    def remove_reader(self, fd: int) -> bool:
        """Forget the reader of *fd*."""
        return self._readers.pop(fd, None) is not None

    def wake(self, fd: int) -> None:
        """Schedule the reader of *fd*."""
        reader = self._readers.get(fd)
        if reader is not None:
            self._put(reader)

    # Running

    def run(self, until: float) -> None:
        """Run all processes up to loop time *until*."""
        events._set_running_loop(self.loop)
        try:
            while self._run_some(until):
                pass
        finally:
            events._set_running_loop(None)
        self.now = max(self.now, until)

    def _run_some(self, until: float) -> bool:
        """Run every process that is ready until none is, then move to the next timer; False if there is none before *until*."""
        batch = 0
        while runnable := [process for process, queue in self._ready.items() if queue and _runs(process)]:
            process = runnable[0] if len(runnable) == 1 else self._chance.choice(runnable)
            self._turn(process)
            batch += 1
            if batch > LONGEST_BATCH:
                raise StuckError(f"{process!r} does not come to rest at {self.now:.3f} s")
        if not self._timers or self._timers[0][0] > until:
            return False
        self.now = max(self.now, self._timers[0][0])
        while self._timers and self._timers[0][0] <= self.now:
            timer = heapq.heappop(self._timers)[2]
            if not timer.cancelled():
                self._put(timer)
        return True

    def _turn(self, process: Process | None) -> None:
        """Run what is ready in one process now; what that schedules runs in its next turn."""
        queue = self._ready[process]
        for _ in range(len(queue)):
            handle = queue.popleft()
            if process is not None and process.state is not ProcessState.RUNNING:
                if process.state is ProcessState.HUNG:
                    queue.appendleft(handle)
                return
            if not handle.cancelled():
                self.steps += 1
                self._running = process
                handle._run()

    def forget(self, process: Process) -> None:
        """Drop all handles of a dead process."""
        self._ready.pop(process, None)
        self._timers = [entry for entry in self._timers if _process_of(entry[2]) is not process]
        heapq.heapify(self._timers)
        for fd, reader in list(self._readers.items()):
            if _process_of(reader) is process:
                del self._readers[fd]

    # Tasks

    def create_future(self) -> asyncio.Future[Any]:
        """Return a future of this loop."""
        return asyncio.Future(loop=self.loop)

    def create_task(
        self, coro: Coroutine[Any, Any, Any], *, name: str | None = None, context: Context | None = None
    ) -> asyncio.Task[Any]:
        """Run *coro* in a task of the current process, or of the process in *context*."""
        task = asyncio.Task(coro, loop=self.loop, name=name, context=context)
        process = (context or copy_context()).get(CURRENT)
        if process is not None:
            process.tasks = [one for one in process.tasks if not one.done()] + [task]
        return task

    def run_in_executor(self, _executor: Any, func: Callable[..., Any], *args: Any) -> asyncio.Future[Any]:
        """Run *func* in a turn of its own, after as long as the process's store needs now, and after all earlier turns."""
        future: asyncio.Future[Any] = self.create_future()
        process = CURRENT.get()
        if process is None:
            self.call_soon(_carry_out, future, func, args)
        else:
            process.threads_until = max(process.threads_until, self.now + process.machine.slow_s)
            self.call_at(process.threads_until, _carry_out, future, func, args)
        return future

    # What asyncio asks of a loop

    def get_debug(self) -> bool:
        """Return False."""
        return False

    def is_running(self) -> bool:
        """Return True: it is asked from inside only."""
        return True

    def is_closed(self) -> bool:
        """Return False: nothing of the system is open."""
        return False

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        """Report an exception that was not handled; of a dead process it is the crash itself."""
        process = CURRENT.get() or self._running
        if process is None or process.alive:
            self._failed(process.name if process is not None else "world", context)


def _process_of(handle: asyncio.Handle) -> Process | None:
    context: Context = handle._context  # type: ignore[attr-defined]
    return context.get(CURRENT)


def _runs(process: Process | None) -> bool:
    return process is None or process.state is ProcessState.RUNNING


def _carry_out(future: asyncio.Future[Any], func: Callable[..., Any], args: tuple[Any, ...]) -> None:
    if future.done():
        return
    try:
        future.set_result(func(*args))
    except Exception as error:  # noqa: BLE001 - the awaiting code handles it, as with a thread
        future.set_exception(error)
