"""Remedies of docs/howto/alerts.md that are at the host: CPU, memory and file descriptors of a server in a process of its own."""

from __future__ import annotations

import asyncio
import os
import signal
import ssl
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, cast

import pytest

from cli.world import end, environment
from sipmesh.cli.doctor.machine import LEAST_DESCRIPTORS, descriptor_checks, descriptors_of
from sipmesh.cli.versions import built
from sipmesh.demo.organisation import Organisation
from sipmesh.sip.status import Status
from support.alert_rules import fired
from support.figures import LOOK_AGAIN_S, Figures, ask_for_figures, figures, figures_with, labelled
from support.network import FE1, FE2, Network
from support.peer import Peer
from support.process import Process, serving
from support.running import within
from support.workers import two_workers

if TYPE_CHECKING:
    from sipmesh.demo.forkserver import Forked

pytestmark = [pytest.mark.peer("promtool"), pytest.mark.wide]
PATIENCE_S = 240.0
"""A server that has little CPU takes its time, and so do five starts of a worker; on a busy machine that is minutes."""

Pace = tuple[float, float]
QUEUES: Pace = (0.2, 0.01)
"""For how many seconds a host without CPU lets the server wait, and then lets it run: each input waits too long.

It never runs for long enough to serve all that waits, on a fast machine neither.
"""

SLOW: Pace = (0.2, 0.1)
"""The same, so that a server with little to do serves it."""

HANGS: Pace = (0.7, 0.05)
"""The same, so that a turn of the event loop takes too long."""

OVERLOADED = labelled("sipmesh_overload_refused_total", requests="new")
LONGEST = labelled("sipmesh_loop_turn_longest_seconds")
SLOW_S = 0.5
"""The alert begins above it."""
ONE = 1
AT_ONCE = 40
FEW = 64
USERS, DEVICES = ("alice", "bob", "carol"), 8
SHORT = labelled("sipmesh_descriptors_short")
STARTS = labelled("sipmesh_worker_starts_total")


@asynccontextmanager
async def slow_host(pid: int, pace: Pace) -> AsyncIterator[None]:
    """Take the CPU from process *pid* again and again, as a host does that has too many of them."""
    stops = f"while kill -STOP {pid}; do sleep {pace[0]}; kill -CONT {pid}; sleep {pace[1]}; done"
    host = await asyncio.create_subprocess_exec("sh", "-c", stops)  # the loop of the test has the phones, and is late
    try:
        yield
    finally:
        host.kill()
        await host.wait()
        os.kill(pid, signal.SIGCONT)


@asynccontextmanager
async def flood(phones: list[Peer]) -> AsyncIterator[asyncio.Event]:
    """Have each phone send messages without a pause; the event is set once one of them gets 503."""
    refused = asyncio.Event()

    async def send(phone: Peer) -> None:
        while True:
            await phone.send(*(phone.request("MESSAGE", "sip:nobody@example.test") for _ in range(AT_ONCE)))
            for _ in range(AT_ONCE):
                if (await phone.final()).status == Status.SERVICE_UNAVAILABLE:
                    refused.set()

    tasks = [asyncio.create_task(send(phone)) for phone in phones]
    try:
        yield refused
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def at_least(port: int, wanted: Figures) -> Figures:
    """Wait until each of the figures has had its least value; gives the highest values of these, and the last of all others."""
    highest = dict.fromkeys(wanted, 0.0)
    while True:
        found = await figures(port)
        highest = {one: max(value, found.get(one, 0.0)) for one, value in highest.items()}
        if all(highest[one] >= value for one, value in wanted.items()):
            return found | highest
        await asyncio.sleep(LOOK_AGAIN_S)


def turns_are_short(found: Figures) -> bool:
    """Tell whether the alert of slow turns has ended; a busy machine has long turns."""
    return found[LONGEST] <= SLOW_S


@pytest.mark.skipif(built() == "compiled", reason="the phones of one process do not overload a compiled server")
@within(PATIENCE_S)
async def test_slow_host_and_overload_end_with_a_further_server_and_with_cpu(
    example: Organisation, tmp_path: Path
) -> None:
    """The phones go to the further server; the slow one has nothing to do then, and serves at once when it has CPU again."""
    port = ask_for_figures(example)
    alerts = {"SipmeshSlowTurns", "SipmeshOverload"}
    async with (
        Network((example,), starts=(FE2,)) as network,
        serving(example, FE1) as server,
        AsyncExitStack() as stack,
    ):
        well = await figures(port)
        phones = [await network.phone(user, FE1) for user in USERS for _ in range(DEVICES)]
        async with flood(phones[:3]), slow_host(server.started.pid, HANGS):
            hung = await at_least(port, {LONGEST: SLOW_S + 0.01})
        async with flood(phones) as refused, slow_host(server.started.pid, QUEUES):
            await refused.wait()
        bad = await at_least(port, {OVERLOADED: 1.0}) | {LONGEST: hung[LONGEST]}
        async with slow_host(server.started.pid, SLOW):
            moved = [await network.phone(user, FE2) for user in USERS]
            async with flood(moved):
                await figures(port)
                mended = await figures_with(port, turns_are_short)
        again = await stack.enter_async_context(await network.phone("alice", FE1))
        await again.send(again.request("MESSAGE", "sip:nobody@example.test"))
        assert (await again.final()).status == 404
        await figures(port)
        after = await figures_with(port, turns_are_short)
    assert fired(tmp_path, alerts, well, bad, mended, after) == {"before": set(), "during": alerts, "after": set()}


@within(PATIENCE_S)
async def test_workers_that_are_killed_for_memory_are_named_in_the_log_until_they_are_left_alone(
    example: Organisation, tmp_path: Path
) -> None:
    port = ask_for_figures(example)
    alerts = {"SipmeshWorkersEnd"}
    async with two_workers(example) as two:
        well = await figures(port)
        for _ in range(5):
            before = (await figures(port))[STARTS]
            await two.signal(ONE, signal.SIGKILL)  # as the kernel does when the memory of the host is used up
            await at_least(port, {STARTS: before + 1})
            await two.replaced(ONE)
        bad = await figures(port)
        assert two.server.log.count("a worker has ended") == 5
        assert '"status": -9' in two.server.log
        mended = await figures(port)
        assert (await (await two.network.peer(FE1, "alice")).register()).status == 200
        after = await figures(port)
    phases = fired(tmp_path, alerts, well, bad, mended, after, every_s=60)
    assert phases == {"before": set(), "during": alerts, "after": set()}


@asynccontextmanager
async def with_descriptors(organisation: Organisation, server: str, most: int) -> AsyncIterator[Process]:
    """Run a server that may open *most* file descriptors, as systemd does with `LimitNOFILE`."""
    command = ["prlimit", f"--nofile={most}:{most}", sys.executable, "-m", "sipmesh", "serve", server]
    with (organisation.folder / f"{server}.log").open("ab") as log:
        started = subprocess.Popen(  # noqa: ASYNC220 - it returns at once
            [*command, "--topology", str(organisation.file)],
            stdin=subprocess.PIPE, stdout=log, stderr=log, env=environment(),
        )  # fmt: skip
    process = Process(organisation, server, cast("Forked", started))
    try:
        await process.ready()
        yield process
    finally:
        started.terminate()
        await asyncio.to_thread(end, started)


@within(PATIENCE_S)
async def test_phones_that_wait_for_a_descriptor_are_served_after_a_start_with_a_higher_limit(
    example: Organisation, tmp_path: Path
) -> None:
    port = ask_for_figures(example)
    alerts = {"SipmeshDescriptorsShort"}
    async with Network((example,), starts=()) as network:
        async with with_descriptors(example, FE1, FEW) as server, AsyncExitStack() as links:
            well = await figures(port)
            address, count, context = network.address(FE1), 0, ssl.create_default_context(cafile=example.root)
            context.check_hostname = False
            while not (bad := await figures(port))[SHORT]:
                opening = asyncio.open_connection(*address, ssl=context)
                count += 1
                assert count < FEW
                with suppress(TimeoutError):
                    _, writer = await asyncio.wait_for(opening, 1)
                    links.callback(writer.close)
            assert "file descriptors have run out" in server.log
            limit = descriptors_of(server.started.pid)
            assert limit == FEW
            [check] = descriptor_checks(FE1, limit)
            assert "LimitNOFILE" in str(check)
        async with with_descriptors(example, FE1, LEAST_DESCRIPTORS):
            mended = await figures(port)
            for _ in range(count + 1):
                phone = await network.peer(FE1)
                await phone.ask(phone.request("OPTIONS", "sip:example.test"))
            after = await figures(port)
    assert fired(tmp_path, alerts, well, bad, mended, after) == {"before": set(), "during": alerts, "after": set()}
