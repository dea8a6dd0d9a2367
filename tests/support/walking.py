"""Records through which modules a server goes: the files and functions, in the order in which they are entered."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sipmesh
from sipmesh.server.running.running_server import RunningServer
from sipmesh.transport.reactor.event_loop import Bed, Host

HOME = f"{Path(sipmesh.__file__).parent}/"


class Walk:
    """What was entered: *stations* has each function of ours with its file, in order; the same one in a row only once."""

    def __init__(self) -> None:
        self.stations: list[tuple[str, str]] = []

    def __repr__(self) -> str:
        return f"<Walk of {len(self.files)} files, {self.functions} functions, {self.returns} returns>"

    def note(self, frame: Any, event: str, _arg: Any) -> None:
        """Take one event of `sys.setprofile`."""
        code = frame.f_code
        if event == "call" and code.co_filename.startswith(HOME):
            station = code.co_filename.removeprefix(HOME), code.co_qualname
            if not self.stations or self.stations[-1] != station:
                self.stations.append(station)

    @property
    def rooms(self) -> list[str]:
        """The files in the order in which they are entered; a file that was left and is entered again is there again."""
        files = [file for file, _ in self.stations]
        return [file for number, file in enumerate(files) if number == 0 or files[number - 1] != file]

    @property
    def files(self) -> list[str]:
        """The files, each once, in the order in which they are entered first."""
        return list(dict.fromkeys(self.rooms))

    @property
    def functions(self) -> int:
        """How many different functions there are."""
        return len(set(self.stations))

    @property
    def returns(self) -> int:
        """How often a file is entered again that was left."""
        return len(self.rooms) - len(self.files)


@contextmanager
def walked() -> Iterator[Walk]:
    """Record what this thread does meanwhile."""
    walk, before = Walk(), sys.getprofile()
    sys.setprofile(walk.note)
    try:
        yield walk
    finally:
        sys.setprofile(before)


class _Guide:
    """Stands between the loop and the reactor that it sleeps in, and records what that does."""

    def __init__(self, host: Host, walk: Walk) -> None:
        self.host, self.walk = host, walk

    def wait(self, timeout: float | None) -> bool:
        """See `Host`."""
        before = sys.getprofile()
        sys.setprofile(self.walk.note)
        try:
            return self.host.wait(timeout)
        finally:
            sys.setprofile(before)

    def wake(self) -> None:
        """See `Host`."""
        self.host.wake()


@contextmanager
def walked_by(node: RunningServer) -> Iterator[Walk]:
    """Record what *node* does with what its links bring meanwhile."""
    bed: Bed = node.loop._bed  # type: ignore[attr-defined]  # the loop of every test here is ours
    assert bed.host is not None
    guide = _Guide(bed.host, Walk())
    bed.host = guide
    try:
        yield guide.walk
    finally:
        bed.host = guide.host
