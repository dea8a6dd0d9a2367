"""Logs: one line of JSON per event, or coloured text on a terminal; no secrets.

Text from others, such as a reason phrase or the names in a certificate, is made printable before it is written.
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
"""The only key whose value has several lines: the text of a traceback."""

LONGEST_TRACEBACK: Final = 20_000
MOST_VALUES: Final = 100
DEEPEST: Final = 4
"""How many items of one list or mapping a line shows, and how deep they may be nested."""


_LEVELS: dict[None, str] = {None: "info"}


def level() -> str:
    """Return the level from which on lines are written, for the other processes of a server."""
    return _LEVELS[None]


def configure(stream: TextIO = sys.stderr, *, level: str = "info") -> None:
    """Write log lines to *stream*, from *level* on; times are UTC (RFC 3339)."""
    _LEVELS[None] = level
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
    """Return a logger that adds *bound* to each line."""
    log: Log = structlog.get_logger(**bound)
    return log


def bounded(_logger: object, _level: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Cut long values: a peer decides the content of its text, but not how much of our disk it fills."""
    for key, value in event.items():
        event[key] = value[:LONGEST_TRACEBACK] if key == TRACEBACK else _cut(value)
    return event


def made_printable(_logger: object, _level: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Make every text printable, for a terminal."""
    for key, value in event.items():
        event[key] = _margined(value) if key == TRACEBACK else _shown(value)
    return event


def _margined(trace: str) -> str:
    """Indent each line of a traceback: the message of an exception may contain line breaks that look like log lines."""
    return "\n".join(f"  | {line}" for line in printable_lines(trace).split("\n"))


def _coloured() -> structlog.dev.ConsoleRenderer:
    return structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)


def _json(event: Any, **given: Any) -> str:
    """Return JSON in ASCII, safe for a terminal: DEL is the only control character that JSON does not escape."""
    return printable_json(json.dumps(event, **given))


def _cut(value: Any, deep: int = 0) -> Any:
    """Return the value with its texts, lists and mappings cut to what a log line may contain."""
    if isinstance(value, str):
        return printable(value) if len(value) > LONGEST else value
    if isinstance(value, Mapping) and deep < DEEPEST:
        return {_cut(str(key)): _cut(item, deep + 1) for key, item in list(value.items())[:MOST_VALUES]}
    if isinstance(value, list | tuple | set | frozenset) and deep < DEEPEST:
        more = [f"and {len(value) - MOST_VALUES} more"] if len(value) > MOST_VALUES else []
        return [_cut(item, deep + 1) for item in list(value)[:MOST_VALUES]] + more
    return value if isinstance(value, int | float) or value is None else _cut(str(value), deep)


def _shown(value: Any) -> Any:
    """Return the value with its texts made printable."""
    if isinstance(value, str):
        return printable(value, len(value))
    if isinstance(value, Mapping):
        return {printable(key): _shown(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_shown(item) for item in value]
    return value
