"""Logs: one line of JSON per event, or coloured text on a terminal; no secrets.

Text from others, such as a reason phrase or the names in a certificate, is made printable before it is written.
"""

from __future__ import annotations

import json
import sys
import traceback
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Final, TextIO

from sipmesh.printable import LONGEST, printable, printable_json, printable_lines

TRACEBACK: Final = "exception"
"""The only key whose value has several lines: the text of a traceback."""

LONGEST_TRACEBACK: Final = 20_000
MOST_VALUES: Final = 100
DEEPEST: Final = 4
"""How many items of one list or mapping a line shows, and how deep they may be nested."""

LEVELS: Final = {"debug": "32", "info": "32", "warning": "33", "error": "31"}
"""The levels, the lowest first, with their colours on a terminal."""

_PLAIN, _BOLD, _DIM, _CYAN, _MAGENTA = "\x1b[0m", "\x1b[1m", "\x1b[2m", "\x1b[36m", "\x1b[35m"
_WIDTH: Final = 30
"""Letters of the event on a terminal, so that values begin in one column."""

Write = Callable[[str, dict[str, Any]], None]
"""Writes a line: its level, and its values with the event."""


class Log:
    """Writes events with their values; *bound* is in each line."""

    __slots__ = ("_bound", "_write")

    def __init__(self, write: Write, **bound: str) -> None:
        self._write, self._bound = write, bound

    def debug(self, event: str, **values: Any) -> None:
        """Write what only a developer needs."""
        self._write("debug", {**self._bound, **values, "event": event})

    def info(self, event: str, **values: Any) -> None:
        """Write what happens in order."""
        self._write("info", {**self._bound, **values, "event": event})

    def warning(self, event: str, **values: Any) -> None:
        """Write what an operator should look at."""
        self._write("warning", {**self._bound, **values, "event": event})

    def error(self, event: str, **values: Any) -> None:
        """Write a fault; *exc_info*, an exception, adds its traceback."""
        self._write("error", {**self._bound, **values, "event": event})


class _WithoutDetails(Log):
    """A logger below whose level debug lines are: it does not even merge their values."""

    def debug(self, event: str, **values: Any) -> None:
        """Write nothing."""


class _Output:
    """Where this process writes its log, and from which level on."""

    def __init__(self, stream: TextIO, level: str) -> None:
        self._stream, self.level = stream, level
        self.written = frozenset(list(LEVELS)[list(LEVELS).index(level) :])
        self._render = _coloured if stream.isatty() else _json

    def write(self, level: str, event: dict[str, Any]) -> None:
        if level in self.written:
            fault = event.pop("exc_info", None)
            trace = {TRACEBACK: "".join(traceback.format_exception(fault)).rstrip("\n")} if fault is not None else {}
            stamp = datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
            self._stream.write(self._render(bounded({**event, **trace, "level": level, "timestamp": stamp})) + "\n")
            self._stream.flush()


def level() -> str:
    """Return the level from which on lines are written, for the other processes of a server."""
    return _outputs[None].level


def configure(stream: TextIO | None = None, *, level: str = "info") -> None:
    """Write log lines to *stream* (standard error), from *level* on; times are UTC (RFC 3339).

    Raises ValueError for an unknown *level*.
    """
    _outputs[None] = _Output(stream or sys.stderr, level)


def get_log(**bound: str) -> Log:
    """Return a logger for what `configure` has chosen, which adds *bound* to each line."""
    output = _outputs[None]
    return (Log if "debug" in output.written else _WithoutDetails)(output.write, **bound)


def bounded(event: dict[str, Any]) -> dict[str, Any]:
    """Cut long values: a peer decides the content of its text, but not how much of our disk it fills."""
    return {key: value[:LONGEST_TRACEBACK] if key == TRACEBACK else _cut(value) for key, value in event.items()}


def _json(event: dict[str, Any]) -> str:
    """Return JSON in ASCII, safe for a terminal: DEL is the only control character that JSON does not escape."""
    return printable_json(json.dumps(event))


def _coloured(event: dict[str, Any]) -> str:
    """Return a line for a person; a traceback follows below it."""
    trace = "".join(f"\n{_margined(value)}" for value in (event.pop(TRACEBACK, None),) if value)
    told = {key: _shown(value) for key, value in event.items()}
    stamp, level, what = (told.pop(key) for key in ("timestamp", "level", "event"))
    values = "".join(
        f" {_CYAN}{printable(key)}{_PLAIN}={_MAGENTA}{value if isinstance(value, str) else repr(value)}{_PLAIN}"
        for key, value in told.items()
    )
    return f"{_DIM}{stamp}{_PLAIN} [\x1b[{LEVELS[level]}m{level:<7}{_PLAIN}] {_BOLD}{what:<{_WIDTH}}{_PLAIN}{values}{trace}"


def _margined(trace: str) -> str:
    """Indent each line of a traceback: the message of an exception may contain line breaks that look like log lines."""
    return "\n".join(f"  | {line}" for line in printable_lines(trace).split("\n"))


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


_outputs: Final = {None: _Output(sys.stderr, "info")}
