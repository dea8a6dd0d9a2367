"""Counts calls: what something costs, and no machine's mood can move it."""

from __future__ import annotations

import gc
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def counted(calls: Counter[str]) -> Iterator[None]:
    """Count the calls of Python functions (``call``) and of C functions (``c_call``) that are made meanwhile."""

    def note(_frame: Any, event: str, _arg: Any) -> None:
        calls[event] += 1

    before = sys.getprofile()
    gc.disable()  # what it frees may call back
    sys.setprofile(note)
    try:
        yield
    finally:
        sys.setprofile(before)
        gc.enable()
