"""Memory that closed links leave: the C library keeps it for the next links, unless it is asked to give it back.

After 10,000 links of phones were closed, hundreds of MiB stay with this process: OpenSSL's state of each link is many small
pieces, between which others still live.
"""

from __future__ import annotations

import ctypes
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

LEAST: Final = 1_000
"""Fewer links leave too little to be worth it: about 30 KiB each."""

QUIET_TICKS: Final = 4
"""So often the number of links has to be looked at without a decrease: links that are still being closed leave more."""


class MemoryReturn:
    """Watches how many links there are, and calls *trim* when half of them, and `LEAST`, are gone."""

    def __init__(self, trim: Callable[[], object]) -> None:
        self._trim = trim
        self._most = self._last = self._quiet = 0
        self.returned = 0  # how often memory was given back

    def tick(self, links: int) -> None:
        """Note the number of *links*; called about twice a second."""
        self._quiet = self._quiet + 1 if links >= self._last else 0
        self._last = links
        self._most = max(self._most, links)
        if self._quiet >= QUIET_TICKS and links <= self._most // 2 and self._most - links >= LEAST:
            self._most = links
            self.returned += 1
            self._trim()


def trim_heap() -> None:
    """Give free pages of the C library's heap back to the kernel, where the C library can do that (glibc).

    This takes about 15 ms for each 1,000 links that were closed. It holds no lock of Python, and may run in a thread.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
