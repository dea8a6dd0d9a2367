"""The virtual disk: what fsync has made durable stays, everything else may be gone after a loss of power."""

from __future__ import annotations

import errno
import io
import os
import random
from contextlib import suppress
from pathlib import Path
from unittest.mock import patch

import pytest

from simulation.disk import Disk
from simulation.patches import _files
from simulation.processes import CURRENT, CrashedError, Process, ProcessState
from sipmesh.pki import files
from sipmesh.pki.file_error import FileError


class Machine:
    """A process whose files are on a virtual disk."""

    def __init__(self, folder: Path) -> None:
        self.process, self.folder = Process("fe1", str(folder)), folder
        self.disk = Disk(random.Random(3), lambda process: setattr(process, "state", ProcessState.DEAD))

    def write(self, content: bytes) -> None:
        """Write as the product does."""
        self._run(lambda: files.write(self.folder / "a", content))

    def append(self, content: bytes, *, durably: bool) -> None:
        """Append to the file."""

        def append() -> None:
            with (self.folder / "a").open("ab") as opened:
                opened.write(content)
                opened.flush()
                if durably:
                    os.fsync(opened.fileno())

        self._run(append)

    def _run(self, act: object) -> None:
        token = CURRENT.set(self.process)
        patches = [patch.object(*replacement) for replacement in _files(self.disk)]
        try:
            for one in patches:
                one.start()
            act()  # type: ignore[operator]
        finally:
            for one in reversed(patches):
                one.stop()
            CURRENT.reset(token)

    @property
    def content(self) -> bytes:
        """What is in the file."""
        return (self.folder / "a").read_bytes()


@pytest.fixture(name="machine")
def _machine(tmp_path: Path) -> Machine:
    machine = Machine(tmp_path)
    machine.write(b"old")
    return machine


def test_what_is_durable_survives(machine: Machine) -> None:
    machine.write(b"new")
    machine.append(b" and more", durably=True)
    machine.disk.lose_power(machine.folder)
    assert machine.content == b"new and more"


def test_what_is_not_durable_is_lost_in_part(machine: Machine) -> None:
    """An append without fsync leaves a beginning of it."""
    machine.append(b" and more", durably=False)
    machine.disk.lose_power(machine.folder)
    assert machine.content != b"old and more"
    assert b"old and more".startswith(machine.content)
    assert machine.content.startswith(b"old")


@pytest.mark.parametrize("full", [False, True])
def test_a_full_disk_takes_nothing(machine: Machine, *, full: bool) -> None:
    machine.process.full = full
    failed = ""
    try:
        machine.write(b"new")
    except FileError as wrong:
        failed = wrong.reason
    assert (failed, machine.content) == ((os.strerror(errno.ENOSPC), b"old") if full else ("", b"new"))


@pytest.mark.parametrize("operations", range(1, 9))
def test_a_death_at_any_operation_leaves_the_old_or_the_new(machine: Machine, operations: int) -> None:
    """The product replaces files atomically and durably, at whichever operation it dies."""
    machine.process.crash_in = operations
    with suppress(CrashedError):
        machine.write(b"new")
    machine.disk.lose_power(machine.folder)
    assert machine.content in {b"old", b"new"}
    assert io.open is open
