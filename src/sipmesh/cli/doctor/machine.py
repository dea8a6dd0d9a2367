"""What a server needs of its machine: a clock that is set, file descriptors, and room on the disk."""

from __future__ import annotations

import ctypes
import os
import resource
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from sipmesh.cli.doctor.check import bad, good, skipped, warning
from sipmesh.trust.formatting import tell_span

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sipmesh.cli.doctor.check import Check

CLOCK, DESCRIPTORS, DISK = "clock", "descriptors", "disk"

FEW_DESCRIPTORS: Final = 4_096
"""Each phone takes one; a server with fewer is a test server."""

LEAST_DESCRIPTORS: Final = 256
"""Links to servers, files and the control socket of a small network."""

LITTLE_ROOM: Final = 256 << 20
LEAST_ROOM: Final = 16 << 20
"""Free octets: below this a server does not reserve space for registrations on a full disk."""

_TIMEX_OCTETS: Final = 512
"""More than the `struct timex` of any machine; its first member, ``modes``, stays 0: nothing is set."""

STARTED_HERE: Final = "a server that is started from here"
"""The process of which the descriptors are counted if no server runs."""

_TIME_ERROR: Final = 5
"""What adjtimex(2) returns for a clock that no program keeps right."""


def clock_checks(
    at: datetime, signed_last: datetime | None, ca_begins: datetime | None = None, *, synchronised: bool | None
) -> Iterator[Check]:
    """Judge the clock: as the kernel says it (*synchronised*), and beside the CA.

    *signed_last* is its last signature on this host, *ca_begins* the time from which its newest certificate is valid.
    """
    signed = signed_last is not None and at < signed_last
    later = signed_last if signed else ca_begins
    if later is not None and at < later:
        saw = "the CA on it has signed at" if signed else "the certificate of our CA begins at"
        behind = f"it is at least {tell_span(later - at)} behind"
        told = f"the clock of this machine says {_minute(at)}, and {saw} {_minute(later)}: {behind}"
        yield bad(CLOCK, told, "set the clock, for example by NTP: timedatectl set-ntp true")
    elif synchronised is None:
        yield skipped(CLOCK, "the kernel does not say whether the clock is synchronised")
    elif synchronised:
        yield good(CLOCK, "the clock is synchronised")
    else:
        told = "no program keeps the clock of this machine right: certificates and CRLs are valid by the clock"
        yield warning(
            CLOCK, told, "install chrony, or run: timedatectl set-ntp true; the host sets the clock of a container"
        )


def _minute(instant: datetime) -> str:
    return f"{instant:%Y-%m-%d %H:%M}Z"


def is_clock_synchronised() -> bool | None:
    """Ask the kernel; None if it does not answer."""
    try:
        answer = ctypes.CDLL(None).adjtimex(ctypes.create_string_buffer(_TIMEX_OCTETS))
    except (OSError, AttributeError):
        return None
    return None if answer < 0 else answer != _TIME_ERROR


def descriptor_checks(process: str, most: int) -> Iterator[Check]:
    """Judge how many descriptors a *process* may open, such as ``fe1.example.com`` or `STARTED_HERE`."""
    remedy = "raise it: LimitNOFILE=65536 in the unit, or `ulimit -n 65536` before `sipmesh serve`"
    if most < LEAST_DESCRIPTORS:
        yield bad(
            DESCRIPTORS, f"{process} may open {most} file descriptors, and a server needs {LEAST_DESCRIPTORS}", remedy
        )
    elif most < FEW_DESCRIPTORS:
        yield warning(DESCRIPTORS, f"{process} may open {most} file descriptors, one for each phone", remedy)
    else:
        yield good(DESCRIPTORS, f"{process} may open {most} file descriptors")


def own_descriptors() -> int:
    """Give the limit of this process, which a server that is started by hand inherits."""
    return _most(resource.getrlimit(resource.RLIMIT_NOFILE)[0])


def descriptors_of(pid: int) -> int | None:
    """Give the limit of a process; None if it has ended, or does not tell us."""
    try:
        return _most(resource.prlimit(pid, resource.RLIMIT_NOFILE)[0])
    except (OSError, ValueError):
        return None


def _most(soft: int) -> int:
    return 1 << 31 if soft == resource.RLIM_INFINITY else soft


def disk_checks(folder: Path, free: int) -> Iterator[Check]:
    """Judge the *free* octets of the disk of *folder*."""
    told = f"the disk of {folder} has {free >> 20} MiB free"
    remedy = f"make room on the disk of {folder}, or move the folder to a larger disk"
    if free < LEAST_ROOM:
        yield bad(DISK, f"{told}: registrations and versions may not be stored", remedy)
    elif free < LITTLE_ROOM:
        yield warning(DISK, told, remedy)
    else:
        yield good(DISK, told)


def free_octets(folder: Path) -> int:
    """Give the free octets of the disk of *folder*, or of the nearest folder above it that exists."""
    there = next(place for place in (folder.absolute(), *folder.absolute().parents) if place.exists())
    disk = os.statvfs(there)
    return disk.f_bavail * disk.f_frsize


def bare_checks(folder: Path) -> Iterator[Check]:
    """Judge the machine for an organisation that will be in *folder*."""
    yield from clock_checks(datetime.now(UTC), None, synchronised=is_clock_synchronised())
    yield from descriptor_checks(STARTED_HERE, own_descriptors())
    yield from disk_checks(folder.absolute(), free_octets(folder))
