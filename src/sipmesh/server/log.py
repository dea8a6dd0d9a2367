"""Logs: one line of JSON per event, or coloured text on a terminal; nothing secret is ever in them.

What others wrote, such as a reason phrase or the names in a certificate, is made printable before it is written.
"""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Mapping, MutableMapping
from typing import Any, Final, TextIO

import structlog

from sipmesh.printable import LONGEST, printable, printable_json, printable_lines

Log = structlog.stdlib.BoundLogger

TRACEBACK: Final = "exception"
"""The one value of several lines: the text of a traceback."""

LONGEST_TRACEBACK: Final = 20_000
MOST_VALUES: Final = 100
DEEPEST: Final = 4
"""Items of one list or mapping that a line shows, and how deep they lie in one another."""


def configure(stream: TextIO = sys.stderr, *, level: str = "info") -> None:
    """Write to *stream*; times are UTC (RFC 3339)."""
    terminal = stream.isatty()
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            bounded,
            *((made_printable, _coloured()) if terminal else (structlog.processors.JSONRenderer(_json),)),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=structlog.WriteLoggerFactory(file=stream),
        cache_logger_on_first_use=False,
    )


def get_log(**bound: str) -> Log:
    """A logger that adds *bound* to each of its lines."""
    log: Log = structlog.get_logger(**bound)
    return log


def bounded(_logger: object, _level: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Cut what is too long: a peer decides what its text says, and not how much of our disk that takes."""
    for key, value in event.items():
        event[key] = value[:LONGEST_TRACEBACK] if key == TRACEBACK else _cut(value)
    return event


def made_printable(_logger: object, _level: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Make every text printable, for a terminal."""
    for key, value in event.items():
        event[key] = _margined(value) if key == TRACEBACK else _shown(value)
    return event


def _margined(trace: str) -> str:
    """Give each line of a traceback a margin: the message of an exception may have lines as well."""
    return "\n".join(f"  | {line}" for line in printable_lines(trace).split("\n"))


def _coloured() -> structlog.dev.ConsoleRenderer:
    return structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)


def _json(event: Any, **given: Any) -> str:
    """Write JSON in ASCII, but for what no terminal may act on: DEL is the only such character that JSON leaves as it is."""
    return printable_json(json.dumps(event, **given))


def _cut(value: Any, deep: int = 0) -> Any:
    """The same value with its texts, lists and mappings cut to what a line of a log may hold."""
    if isinstance(value, str):
        return printable(value) if len(value) > LONGEST else value
    if isinstance(value, Mapping) and deep < DEEPEST:
        return {_cut(str(key)): _cut(one, deep + 1) for key, one in list(value.items())[:MOST_VALUES]}
    if isinstance(value, list | tuple | set | frozenset) and deep < DEEPEST:
        more = [f"and {len(value) - MOST_VALUES} more"] if len(value) > MOST_VALUES else []
        return [_cut(one, deep + 1) for one in list(value)[:MOST_VALUES]] + more
    return value if isinstance(value, int | float) or value is None else _cut(str(value), deep)


def _shown(value: Any) -> Any:
    """The same value with its texts made printable."""
    if isinstance(value, str):
        return printable(value, len(value))
    if isinstance(value, Mapping):
        return {printable(key): _shown(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_shown(one) for one in value]
    return value
