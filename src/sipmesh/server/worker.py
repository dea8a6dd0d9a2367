"""The program of a worker, and of the process from which all workers of a server are forked.

They share the memory of what is imported and does not change. A worker that replaces another one starts at once.
"""

from __future__ import annotations

import gc
import json
import os
import signal
import socket
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sipmesh.server.log import configure, get_log
from sipmesh.server.process.fork_server import die_with_parent, serve
from sipmesh.server.running.worker_place import WorkerPlace
from sipmesh.server.service import serve_all
from sipmesh.server.worker_service import LONGEST_WORD, WorkerService
from sipmesh.transport.reactor.event_loop import run

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

IGNORED = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
"""Signals that the whole group of processes gets: the supervisor decides what follows from them."""


def main() -> None:
    """Fork workers as the supervisor asks; the descriptor of the socket for that is the argument."""
    gc.freeze()
    serve_workers(socket.socket(fileno=int(sys.argv[1])))


def serve_workers(requests: socket.socket) -> None:
    """Fork a worker for each request. Without a supervisor the workers drain; then this process ends."""
    for number in IGNORED:
        signal.signal(number, signal.SIG_IGN)
    serve(requests, work)
    with suppress(ChildProcessError):
        while True:
            os.waitpid(-1, 0)


def work(facts: Mapping[str, Any], descriptors: Sequence[int]) -> None:
    """Serve until the supervisor says otherwise, or ends; *facts* say what this worker is."""
    die_with_parent(signal.SIGKILL)
    configure(level=facts["level"])
    given = socket.socket(fileno=descriptors[0])
    version = first_version(given)
    place = WorkerPlace(facts["number"], facts["count"], facts["start"], facts["incarnation"])
    log = get_log(server=facts["name"], worker=str(place.number))
    run(_serve(Path(facts["file"]), facts["name"], log, place, version, given))


async def _serve(*parts: Any) -> None:
    await serve_all([WorkerService(*parts)], obeys_signals=False)


def first_version(given: socket.socket) -> Mapping[str, Any]:
    """Return the topology with which the worker starts: the first thing that the supervisor gives."""
    _, descriptors, _, _ = socket.recv_fds(given, LONGEST_WORD, 1)
    with os.fdopen(descriptors[0], "rb") as file:
        file.seek(0)
        version: Mapping[str, Any] = json.load(file)
        return version


if __name__ == "__main__":
    main()
