"""The demo: two organisations run, are used, are attacked, and revoke a certificate."""

from __future__ import annotations

import asyncio
import signal
import tempfile
import time
from contextlib import suppress
from pathlib import Path

from rich.console import Console

from sipmesh.demo.doors import at_the_doors, in_messages, on_the_way
from sipmesh.demo.network import FE1, Network
from sipmesh.demo.people import log_in, talk
from sipmesh.demo.revocation import revoke
from sipmesh.demo.score import Score
from sipmesh.transport.event_loop import run
from sipmesh.trust.evidence import LinkKind


def main(*, keep: bool, console: Console) -> int:
    """Run the demo; returns 0 only if every line came out as it must."""
    with suppress(KeyboardInterrupt), tempfile.TemporaryDirectory(prefix="sipmesh-demo-") as folder:
        return run(_play(Path(folder), console, keep=keep))
    return 130


async def _play(folder: Path, console: Console, *, keep: bool) -> int:
    """Build, start, play, and stop; Ctrl-C stops cleanly at any point."""
    task = asyncio.current_task()
    if task is not None:
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    score = Score(console)
    network = await Network.build(folder)
    try:
        await _perform(network, score)
        if keep:
            await _keep(network, console)
    except asyncio.CancelledError:
        console.print("stopping")
    finally:
        await network.stop()
    return 1 if score.wrong or not score.right else 0


async def _perform(network: Network, score: Score) -> None:
    """The four acts and the count."""
    started = time.monotonic()
    await network.start()
    score.console.print(f"{len(network.servers)} servers run as processes of their own, in {network.folder}\n")
    people = await log_in(network, score)
    try:
        await talk(network, people, score)
        await at_the_doors(network, score)
        await in_messages(network, people, score)
        await on_the_way(network, people, score)
        await revoke(network, people, score)
    finally:
        await people.leave()
    score.console.print(f"{score.summary}, in {time.monotonic() - started:.0f} s", style="bold")


async def _keep(network: Network, console: Console) -> None:
    """Leave everything running until Ctrl-C, and say how a real phone logs in."""
    host, port = network.example.address(FE1, LinkKind.CLIENT)
    console.print(
        f"\nIt goes on running in {network.folder}. To log a phone in, such as Debian's baresip:\n"
        f"  server {host}:{port} over TLS, CA file {network.example.root}\n"
        "  user carol@example.test, password carol-secret (carol has an MD5 challenge only, as baresip 1.1 needs)\n"
        f"  account line: <sip:carol@example.test;transport=tls>;auth_pass=carol-secret;"
        f'outbound="sip:{host}:{port};transport=tls"\n'
        f"Look at it: cd {network.example.folder} && sipmesh links\n"
        "Ctrl-C stops it."
    )
    await asyncio.Event().wait()
