"""Trace a network by the command, for as long as a loaded machine needs."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

from support.managed import Managed
from support.running import LOOK_AGAIN_S

SPANS_S = (2, 8, 32)


async def traced(
    network: Managed,
    talk: Callable[[], Awaitable[object]],
    wanted: Sequence[str],
    *typed: str,
    pcap: Path | None = None,
) -> str:
    """Trace while users *talk*, until one trace shows all that is *wanted*; each trace is longer than the trace before it.

    *pcap* is the file of that trace.
    """
    shown = ""
    for seconds in SPANS_S:
        written = [] if pcap is None else ["--pcap", str(pcap)]
        trace = asyncio.create_task(network.type("trace", *typed, "--seconds", str(seconds), *written))
        while not trace.done():
            await talk()
            await asyncio.sleep(LOOK_AGAIN_S)
        shown = await trace
        if all(text in shown for text in wanted):
            return shown
        if pcap is not None:
            await asyncio.to_thread(pcap.unlink)
    raise AssertionError(shown)
