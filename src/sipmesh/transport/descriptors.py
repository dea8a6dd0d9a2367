"""The file descriptors of this process: how many it may open, and how many of them clients may not use."""

from __future__ import annotations

import resource
from typing import Final

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
