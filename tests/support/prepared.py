"""Control sockets with prepared replies: the tests of a command see every reply, and need no running server."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sipmesh.server.control_socket import SOCKET_SUFFIX, Command, ControlSocket
from support.telling import Told

START_S = 10.0

Replies = Mapping[str, object]
"""By the name of a command, its reply; an exception is raised instead."""


@contextmanager
def answered(state: Path, servers: Mapping[str, Replies]) -> Iterator[list[dict[str, Any]]]:
    """Answer the control socket of each server in the folder *state*; gives the requests, oldest first."""
    state.mkdir(mode=0o700, exist_ok=True)
    asked: list[dict[str, Any]] = []
    ready, loop = threading.Event(), asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_until_complete, args=(_answer(state, servers, asked, ready),))
    thread.start()
    try:
        assert ready.wait(START_S)
        yield asked
    finally:
        loop.call_soon_threadsafe(lambda: [task.cancel() for task in asyncio.all_tasks(loop)])
        thread.join()
        loop.close()


async def _answer(
    state: Path, servers: Mapping[str, Replies], asked: list[dict[str, Any]], ready: threading.Event
) -> None:
    sockets = []
    for name, replies in servers.items():
        commands = {command: _command(reply, asked) for command, reply in replies.items()}
        sockets.append(ControlSocket(state / f"{name}{SOCKET_SUFFIX}", commands, Told().log))
        await sockets[-1].open()
    ready.set()
    try:
        await asyncio.get_running_loop().create_future()
    except asyncio.CancelledError:
        for socket in sockets:
            await socket.close()


def _command(reply: object, asked: list[dict[str, Any]]) -> Command:
    async def run(request: Mapping[str, Any]) -> object:
        asked.append(dict(request))
        if isinstance(reply, Exception):
            raise reply
        return reply

    return run
