"""The program of a worker. What it does as a process is tested in `scenarios/test_workers`."""

from __future__ import annotations

import json
import os
import signal
import socket
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import pytest

from sipmesh.server import worker
from sipmesh.server.worker import IGNORED, first_version, serve_workers, work


def given_version(version: dict[str, object]) -> socket.socket:
    """A socket on which the supervisor has given a version."""
    giving, given = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    descriptor = os.memfd_create("version")
    os.write(descriptor, json.dumps(version).encode())
    socket.send_fds(giving, [b"{}"], [descriptor])
    os.close(descriptor)
    giving.close()
    return given


def test_first_thing_that_the_supervisor_gives_is_the_version() -> None:
    with given_version({"number": 3}) as given:
        assert first_version(given) == {"number": 3}


def test_worker_serves_its_orders_and_ends_with_its_template(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    facts: dict[str, Any] = {"name": "fe1.example.test", "file": str(tmp_path / "topology.yaml"), "level": "info"}
    facts |= {"number": 2, "count": 2, "start": 5, "incarnation": 7}
    served: list[Any] = []
    dies: list[int] = []

    async def serve_all(services: list[Any], *, obeys_signals: bool) -> None:
        assert not obeys_signals
        served.extend(services[0])

    def run(work: Coroutine[Any, Any, None]) -> None:
        with pytest.raises(StopIteration):
            work.send(None)

    monkeypatch.setattr(worker, "die_with_parent", dies.append)
    monkeypatch.setattr(worker, "configure", lambda **_: None)
    monkeypatch.setattr(worker, "serve_all", serve_all)
    monkeypatch.setattr(worker, "run", run)
    monkeypatch.setattr(worker, "WorkerService", lambda *parts: parts)
    with given_version({"number": 3}) as given:
        work(facts, [os.dup(given.fileno())])
    assert dies == [signal.SIGKILL]
    file, name, _, place, version, taken = served
    assert (file, name, version) == (tmp_path / "topology.yaml", "fe1.example.test", {"number": 3})
    assert (place.number, place.count, place.start, place.incarnation) == (2, 2, 5, 7)
    taken.close()


def test_template_ignores_the_signals_of_its_group(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its supervisor decides what follows from a signal. The template ends when its supervisor and its workers have ended."""
    ignored: list[tuple[int, object]] = []
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    monkeypatch.setattr(signal, "signal", lambda number, action: ignored.append((number, action)))
    served: list[object] = []
    ends = iter([(7, 0)])

    def waitpid(_pid: int, _options: int) -> tuple[int, int]:
        for end in ends:
            return end
        raise ChildProcessError

    monkeypatch.setattr(worker, "serve", lambda _requests, become: served.append(become))
    monkeypatch.setattr(os, "waitpid", waitpid)
    with ours, theirs:
        serve_workers(theirs)
    assert (ignored, served) == ([(number, signal.SIG_IGN) for number in IGNORED], [work])
