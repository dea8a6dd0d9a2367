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


_LOOK_AT_ONE_END = frozenset({"startswith", "endswith", "removeprefix", "removesuffix"})


@contextmanager
def work_counted(work: Counter[str]) -> Iterator[None]:
    """Count the work of Python code: ``steps`` (calls and lines, each turn of a loop among them) and ``octets``.

    *octets* is the length of each text whose method is called: what a method may cost that walks over it.
    """

    def note(_frame: Any, event: str, called: Any) -> None:
        work["steps"] += 1
        text = getattr(called, "__self__", None) if event == "c_call" else None
        if isinstance(text, str | bytes | bytearray) and called.__name__ not in _LOOK_AT_ONE_END:
            work["octets"] += len(text)

    def trace(_frame: Any, event: str, _arg: Any) -> Any:
        work["steps"] += event == "line"
        return trace

    before, traced = sys.getprofile(), sys.gettrace()
    gc.disable()
    sys.settrace(trace)
    sys.setprofile(note)
    try:
        yield
    finally:
        sys.setprofile(before)
        sys.settrace(traced)
        gc.enable()
