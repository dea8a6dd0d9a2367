"""The clock, the file descriptors and the disk of this machine."""

from __future__ import annotations

import os
import resource
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from sipmesh.cli.doctor.check import State
from sipmesh.cli.doctor.machine import (
    FEW_DESCRIPTORS,
    LEAST_DESCRIPTORS,
    LEAST_ROOM,
    LITTLE_ROOM,
    bare_checks,
    clock_checks,
    descriptor_checks,
    descriptors_of,
    disk_checks,
    free_octets,
    is_clock_synchronised,
    own_descriptors,
)
from support.full_disk import small_disk

NOON = datetime(2026, 11, 30, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("kernel", "signed_last", "state"),
    [
        ("synchronised", None, State.GOOD),
        ("synchronised", NOON - timedelta(days=9), State.GOOD),
        ("not synchronised", NOON, State.WARNING),
        ("silent", None, State.SKIPPED),
        ("synchronised", NOON + timedelta(seconds=1), State.BAD),
    ],
)
def test_clock_is_judged_by_the_kernel_and_by_the_last_signature_of_the_ca(
    kernel: str, signed_last: datetime | None, state: State
) -> None:
    said = {"synchronised": True, "not synchronised": False}.get(kernel)
    [check] = clock_checks(NOON, signed_last, synchronised=said)
    assert check.state is state
    assert bool(check.remedy) is (state in {State.WARNING, State.BAD})


def test_clock_before_the_certificate_of_our_ca_is_wrong_by_at_least_the_difference() -> None:
    [check] = clock_checks(NOON, None, NOON + timedelta(days=9), synchronised=True)
    assert check.state is State.BAD
    assert "it is at least 9 d behind" in check.told
    assert "set the clock" in check.remedy
    [check] = clock_checks(NOON, None, NOON, synchronised=True)
    assert check.state is State.GOOD


def test_kernel_says_whether_a_program_keeps_the_clock_right() -> None:
    assert is_clock_synchronised() in {True, False, None}


@pytest.mark.parametrize(
    ("most", "state"),
    [
        (LEAST_DESCRIPTORS - 1, State.BAD),
        (LEAST_DESCRIPTORS, State.WARNING),
        (FEW_DESCRIPTORS - 1, State.WARNING),
        (FEW_DESCRIPTORS, State.GOOD),
    ],
)
def test_descriptors_are_judged_at_their_limits(most: int, state: State) -> None:
    [check] = descriptor_checks("fe1.example.com", most)
    assert check.state is state


def test_limit_of_a_process_is_that_of_the_kernel() -> None:
    assert descriptors_of(os.getpid()) == own_descriptors() == resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    assert descriptors_of(2**22 + 1) is None  # no machine has so many processes


@pytest.mark.parametrize(
    ("free", "state"),
    [
        (LEAST_ROOM - 1, State.BAD),
        (LEAST_ROOM, State.WARNING),
        (LITTLE_ROOM - 1, State.WARNING),
        (LITTLE_ROOM, State.GOOD),
    ],
)
def test_disk_is_judged_at_its_limits(free: int, state: State) -> None:
    [check] = disk_checks(Path("/var/lib/sipmesh"), free)
    assert check.state is state


def test_full_disk_is_a_fault_until_there_is_room(tmp_path: Path) -> None:
    """The remedy is followed: room is made."""
    with small_disk(tmp_path / "small", LEAST_ROOM + (8 << 20)) as disk:
        disk.fill()
        [full] = disk_checks(disk.folder, free_octets(disk.folder))
        disk.empty()
        [empty] = disk_checks(disk.folder, free_octets(disk.folder))
    assert (full.state, empty.state) == (State.BAD, State.WARNING)


def test_folder_that_is_not_there_yet_is_judged_by_the_one_above(tmp_path: Path) -> None:
    assert free_octets(tmp_path / "later" / "still") > 0
    assert [check.name for check in bare_checks(tmp_path / "later")] == ["clock", "descriptors", "disk"]
