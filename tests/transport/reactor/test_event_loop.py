"""The loop waits in its host, and wakes the host for its own work."""

from __future__ import annotations

import asyncio
import os
import select

from sipmesh.transport.reactor.event_loop import Loop, run


class Sleeper:
    """A host: it waits for the descriptor of the loop, and counts its calls."""

    def __init__(self) -> None:
        self.watched = -1
        self.waits = self.woken = 0

    def wait(self, timeout: float | None) -> bool:
        """Wait only for the descriptor of the loop."""
        self.waits += 1
        ready, _, _ = select.select([self.watched], [], [], timeout)
        return bool(ready)

    def wake(self) -> None:
        """Count the call."""
        self.woken += 1


def test_loop_without_a_host_runs_normally() -> None:
    async def main() -> str:
        await asyncio.sleep(0.001)
        return "done"

    assert run(main()) == "done"


def test_loop_waits_in_its_host() -> None:
    loop, host = Loop(), Sleeper()
    watched = loop.wait_in(host)
    assert watched is not None
    host.watched = watched
    loop.run_until_complete(asyncio.sleep(0.001))
    assert host.waits > 0
    loop.leave(host)
    loop.close()


def test_descriptor_of_the_loop_wakes_the_host() -> None:
    loop, host = Loop(), Sleeper()
    host.watched = loop.wait_in(host) or -1
    reading, writing = os.pipe()
    came: asyncio.Future[bytes] = loop.create_future()
    loop.add_reader(reading, lambda: came.set_result(os.read(reading, 1)))
    os.write(writing, b"x")
    assert loop.run_until_complete(came) == b"x"
    loop.remove_reader(reading)
    os.close(reading)
    os.close(writing)
    loop.leave(host)
    loop.close()


def test_new_callback_and_new_timer_rouse_the_host() -> None:
    loop, host = Loop(), Sleeper()
    host.watched = loop.wait_in(host) or -1
    loop.call_soon(lambda: None)
    assert host.woken == 1
    loop.call_later(60.0, lambda: None).cancel()
    assert host.woken == 2
    loop.leave(host)
    loop.call_soon(lambda: None)
    assert host.woken == 2
    loop.close()


def test_second_host_is_refused_and_cannot_remove_the_first() -> None:
    loop, first, second = Loop(), Sleeper(), Sleeper()
    assert loop.wait_in(first) is not None
    assert loop.wait_in(second) is None
    loop.leave(second)
    assert loop._bed.host is first
    loop.leave(first)
    assert loop._bed.host is None
    loop.close()
