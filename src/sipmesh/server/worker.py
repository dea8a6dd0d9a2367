"""The program of a worker: its supervisor starts it with one argument, JSON that says what it is."""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sipmesh.server.log import configure, get_log
from sipmesh.server.running.worker_place import WorkerPlace
from sipmesh.server.service import serve_all
from sipmesh.server.worker_service import LONGEST_WORD, WorkerService
from sipmesh.transport.reactor.event_loop import run

if TYPE_CHECKING:
    from collections.abc import Mapping

IGNORED = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
"""Signals that the whole group of processes gets: the supervisor decides what follows from them."""


def main() -> None:
    """Serve until the supervisor says otherwise, or ends."""
    facts = json.loads(sys.argv[1])
    for number in IGNORED:
        signal.signal(number, signal.SIG_IGN)
    configure(level=facts["level"])
    given = socket.socket(fileno=facts["given"])
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
