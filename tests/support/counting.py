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
def work_counted(work: Counter[str], *, lines: bool = True) -> Iterator[None]:
    """Count the work of Python code: ``steps`` (calls and lines, each turn of a loop among them) and ``octets``.

    Without *lines*, only calls are steps: this is several times faster.

    *octets* is the length of each text whose method is called: what a method may cost that walks over it.
    """
    steps = octets = 0  # not in *work* yet: this is called for each line

    def note(_frame: Any, event: str, called: Any) -> None:
        nonlocal steps, octets
        steps += 1
        if event == "c_call":
            text = getattr(called, "__self__", None)
            if isinstance(text, str | bytes | bytearray) and called.__name__ not in _LOOK_AT_ONE_END:
                octets += len(text)

    def trace(_frame: Any, event: str, _arg: Any) -> Any:
        nonlocal steps
        if event == "line":
            steps += 1
        return trace

    before, traced = sys.getprofile(), sys.gettrace()
    gc.disable()
    if lines:
        sys.settrace(trace)
    sys.setprofile(note)
    try:
        yield
    finally:
        sys.setprofile(before)
        sys.settrace(traced)
        gc.enable()
        work.update(steps=steps, octets=octets)
