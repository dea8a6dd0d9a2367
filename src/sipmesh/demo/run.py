"""The demo: two organisations run, are used and attacked, and a certificate is revoked."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from sipmesh.demo.attacks import at_the_listeners, in_messages, on_the_way
from sipmesh.demo.network import FE1, DemoNetwork
from sipmesh.demo.people import log_in, talk
from sipmesh.demo.revocation import revoke
from sipmesh.demo.score import Score
from sipmesh.demo.web import show_pages
from sipmesh.transport.reactor.event_loop import run
from sipmesh.trust.evidence import LinkKind

INTRODUCTION = """\
Two organisations run here: example.test, and its partner, partner.test.
A front end (fe1, fe2) serves phones. An edge (edge1) connects to partners.
Each server is a process of its own. Every link between servers is mutual TLS."""

Pause = Callable[[], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Wishes:
    """What the operator wants of the demo: *keep* it running at the end, *pause* between acts, *web* pages beside it."""

    keep: bool = False
    pause: bool = False
    web: bool = False


def main(wishes: Wishes, *, findings: Path | None, console: Console) -> int:
    """Run the demo; returns 0 only if every result is as expected, 130 after Ctrl-C. *findings* None means a new file."""
    with suppress(KeyboardInterrupt), tempfile.TemporaryDirectory(prefix="sipmesh-demo-") as folder:
        return run(_play(Path(folder), console, findings or _new_file(), wishes))
    return 130


def _new_file() -> Path:
    number, name = tempfile.mkstemp(prefix="sipmesh-demo-", suffix=".txt")
    os.close(number)
    return Path(name)


async def _play(folder: Path, console: Console, findings: Path, wishes: Wishes) -> int:
    """Build, start, run the acts, and stop; Ctrl-C stops cleanly at any point."""
    task = asyncio.current_task()
    if task is not None:
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    with findings.open("w", encoding="utf-8") as file:
        score = Score(console, file)
        score.say(*INTRODUCTION.splitlines(), f"Their files: {folder}")
        network = await DemoNetwork.build(folder, web=wishes.web)
        try:
            await network.start()
            if wishes.web:
                await show_pages(network, score)
            await _perform(network, score, findings, _enter if wishes.pause else _go_on)
            file.flush()
            if wishes.keep or wishes.web:
                await _keep(network, score)
        except asyncio.CancelledError:
            score.say("stopping")
        finally:
            await network.stop()
    return 1 if score.wrong or not score.right else 0


async def _perform(network: DemoNetwork, score: Score, findings: Path, pause: Pause) -> None:
    """Run the acts, and print the summary."""
    started = time.monotonic()
    people = await log_in(network, score)
    try:
        await pause()
        await talk(network, people, score)
        await pause()
        await at_the_listeners(network, score)
        await pause()
        await in_messages(network, people, score)
        await pause()
        await on_the_way(network, people, score)
        await pause()
        await revoke(network, people, score)
    finally:
        await people.leave()
    score.conclude(time.monotonic() - started, str(findings))


async def _go_on() -> None:
    """Do not wait."""


async def _enter() -> None:
    """Wait for the Enter key, or for the end of the standard input."""
    sys.stdout.write("\nPress Enter for the next act. ")
    sys.stdout.flush()
    pressed, loop = asyncio.Event(), asyncio.get_running_loop()
    loop.add_reader(sys.stdin, pressed.set)
    try:
        await pressed.wait()
        sys.stdin.readline()
    finally:
        loop.remove_reader(sys.stdin)


async def _keep(network: DemoNetwork, score: Score) -> None:
    """Leave everything running until Ctrl-C, and print how a real phone logs in."""
    host, port = network.example.address(FE1, LinkKind.CLIENT)
    score.say(
        f"\nThe network goes on running in {network.folder}.",
        "To log a phone in, such as Debian's baresip, use these settings:",
        f"  server {host}:{port} over TLS, CA file {network.example.root}",
        "  user carol@example.test, password carol-secret",
        "  (carol gets an MD5 challenge only, because baresip 1.1 supports nothing newer)",
        "  account line of baresip:",
        f'  <sip:carol@example.test;transport=tls>;auth_pass=carol-secret;outbound="sip:{host}:{port};transport=tls"',
        f"To see its links: cd {network.example.folder} && sipmesh links",
        "Ctrl-C stops it.",
    )
    await asyncio.Event().wait()
