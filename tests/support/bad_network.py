"""A bad network between a server and another one, or a database: octets come late, and a part of them has to be sent again.

A kernel may have no `netem`. So this is a TCP proxy that lets its own octets wait as long as TCP would on such a network. A
segment that is lost comes after the time-out of TCP, and all segments behind it wait for it (RFC 6298).
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from random import Random
from typing import Final

from support.between import Between

SEGMENT: Final = 1_460
LEAST_TIMEOUT_S: Final = 0.2
"""The shortest retransmission time-out of Linux."""


class BadNetwork(Between):
    """Octets take *delay_s* each way, and each segment is lost with the probability *loss*; both may be changed at any time."""

    def __init__(self, target: tuple[str, int] | Path, seed: int = 1) -> None:
        super().__init__(target)
        self.delay_s = self.loss = 0.0
        self.loop: asyncio.AbstractEventLoop | None = None
        self._random = Random(seed)  # noqa: S311 - so that a run can be repeated

    def split(self) -> None:
        """Pass nothing on any more; any thread may call it."""
        assert self.loop is not None
        self.loop.call_soon_threadsafe(self.stop)

    def heal(self) -> None:
        """Pass on everything again; any thread may call it."""
        assert self.loop is not None
        self.loop.call_soon_threadsafe(self.go_on)

    async def _pump(self, direction: str, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        on_the_way: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()
        self._pumps.add(asyncio.create_task(self._deliver(direction, on_the_way, sink)))
        time, due = asyncio.get_running_loop().time, 0.0
        with suppress(OSError):
            while data := await source.read(65_536):
                for begin in range(0, len(data), SEGMENT):
                    due = max(due, time() + self._takes_s())
                    on_the_way.put_nowait((due, data[begin : begin + SEGMENT]))
        on_the_way.put_nowait((due, b""))

    def _takes_s(self) -> float:
        is_lost = self._random.random() < self.loss
        return self.delay_s + (max(LEAST_TIMEOUT_S, 3 * self.delay_s) if is_lost else 0.0)

    async def _deliver(
        self, direction: str, on_the_way: asyncio.Queue[tuple[float, bytes]], sink: asyncio.StreamWriter
    ) -> None:
        time = asyncio.get_running_loop().time
        try:
            with suppress(OSError):
                while True:
                    due, data = await on_the_way.get()
                    await asyncio.sleep(due - time())
                    await self._open[direction].wait()
                    if not data:
                        return
                    sink.write(data)
        finally:
            sink.close()


@contextmanager
def in_thread(network: BadNetwork) -> Iterator[BadNetwork]:
    """Run *network* in a thread of its own, for a caller that waits for a database in its loop."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        asyncio.run_coroutine_threadsafe(network.__aenter__(), loop).result()
        network.loop = loop
        yield network
        asyncio.run_coroutine_threadsafe(network.__aexit__(), loop).result()
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
