"""The descriptors of this process: how many it may open, and how many of them strangers and clients leave alone."""

from __future__ import annotations

import resource
from typing import Final

SHARE: Final = 4
"""Where few descriptors are allowed, a quarter of them is kept free and not ``descriptors_kept``."""


def most_for_clients(kept: int) -> int:
    """Tell from which number on a descriptor is one of those *kept* free for servers, files, control and metrics.

    The kernel gives the lowest number that is free, so that a higher number means that all below are taken.
    """
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return 1 << 31
    return soft - min(kept, soft // SHARE)
