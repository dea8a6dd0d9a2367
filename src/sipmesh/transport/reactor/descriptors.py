"""The file descriptors of this process: how many it may open, and how many of them clients may not use."""

from __future__ import annotations

import errno
import os
import resource
from typing import Final

OUT_OF_RESOURCES: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
"""Errors of a process, or of a machine, that can open nothing more."""

SHORTAGE_OVER_S: Final = 5.0
"""Without a connection that finds no descriptor for so long, the shortage is over."""

SHARE: Final = 4
"""Where the process may open few descriptors, a quarter of them is kept free instead of ``descriptors_kept``."""


def most_for_clients(kept: int) -> int:
    """Return the first descriptor number that is kept for servers, files, control and metrics; *kept* is their count.

    The kernel assigns the lowest free number. So a number at or above the result means that all lower numbers are used.
    """
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return 1 << 31
    return soft - min(kept, soft // SHARE)


def lowest_free() -> int:
    """Give the number that the next descriptor of this process gets; a number that is too high if none is free."""
    try:
        fd = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return 1 << 31
    os.close(fd)
    return fd


class DescriptorShortage:
    """Whether clients have to wait because no file descriptor is free for them; times in seconds of the loop's clock."""

    def __init__(self) -> None:
        self.active = False
        self.episodes = 0  # how often a shortage has begun
        self.began_at = self.noticed_at = 0.0

    def noticed(self, now: float) -> None:
        """Note that a connection found no descriptor."""
        self.noticed_at = now
        if not self.active:
            self.active = True
            self.episodes += 1
            self.began_at = now

    def rest(self, now: float) -> None:
        """End the shortage if it was not noticed for `SHORTAGE_OVER_S`."""
        if self.active and now - self.noticed_at >= SHORTAGE_OVER_S:
            self.active = False
