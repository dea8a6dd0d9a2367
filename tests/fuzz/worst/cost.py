"""What a reader costs for each octet: CPU time of this thread, beside that of a loop over octets on the same machine."""

from __future__ import annotations

import gc
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

from sipmesh.errors import RemoteError
from sipmesh.sip.text_cache import TextCache

REPEATS: Final = 3
LONG_S: Final = 0.3
"""What takes so long is not repeated: the noise is small beside it."""

_LOOPED: Final = bytes(200_000)


def cpu_s(run: Callable[[Any], object], prepare: Callable[[], Any], repeats: int = REPEATS) -> float:
    """Give the least CPU time of a run, in seconds; each run is of texts that were not seen before."""
    least = float("inf")
    for _ in range(repeats):
        given = prepare()
        forget()
        gc.disable()
        before = time.thread_time()
        with suppress(RemoteError):
            run(given)
        used = time.thread_time() - before
        gc.enable()
        least = min(least, used)
        if used > LONG_S:
            break
    return least


def unit_s() -> float:
    """Give the CPU time that a loop takes for one octet, on this machine at present."""
    return cpu_s(_loop, lambda: _LOOPED) / len(_LOOPED)


def _loop(octets: bytes) -> int:
    found = 0
    for octet in octets:
        if octet:
            found += 1
    return found


def forget() -> None:
    """Empty each cache of texts."""
    for cache in _caches():
        cache.clear()


def _caches() -> list[TextCache[Any]]:
    modules = [module for name, module in sys.modules.items() if name.startswith("sipmesh.")]
    return [value for module in modules for value in vars(module).values() if isinstance(value, TextCache)]
