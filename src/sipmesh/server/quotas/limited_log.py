"""The log for events that peers cause: above a number, lines of one event and principal are counted, to protect the disk."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from sipmesh.printable import printable

if TYPE_CHECKING:
    from sipmesh.server.log import Log

LONGEST_VALUE: Final = 1_000
"""Characters of one value in a line that a peer caused."""

MOST_SUMS: Final = 1_000
"""Pairs of event and principal that are counted separately; further principals are counted together."""

MOST_SUM_LINES: Final = 50
"""Summary lines per window, for the largest counts; the rest is one line for each event."""

OTHERS: Final = "others"


class _Sum:
    """The lines of one event and one principal in one window: how many were written, and how many were only counted."""

    __slots__ = ("began", "fields", "level", "more", "written")

    def __init__(self, began: float) -> None:
        self.began, self.written, self.more = began, 0, 0
        self.level, self.fields = "info", dict[str, Any]()


class LimitedLog:
    """A log for events that peers cause: a number of lines per event, principal and window is written, the rest is counted.

    The principal (an address, a user, a server) is responsible for the line; a peer must not be able to choose it freely.
    *each* lines of one event and principal are written within *window_s* seconds, and *total* lines in all. Further lines
    become one line at the end of the window, with the last values, and with ``again``, the number of lines it stands for.
    Values are cut at :data:`LONGEST_VALUE` characters. *clock* returns seconds and never goes back.
    """

    def __init__(
        self, log: Log, clock: Callable[[], float], *, each: int = 10, total: int = 200, window_s: float = 10.0
    ) -> None:
        self._log, self._clock = log, clock
        self._each, self._total, self._window_s = each, total, window_s
        self._sums: dict[tuple[str, str], _Sum] = {}
        self._written, self._began = 0, clock()
        self.summed = 0  # lines that were only counted, since the start

    def debug(self, event: str, **fields: object) -> None:
        """Write a line for developers; the default level does not show it."""
        self._log.debug(event, **cut(fields))

    def info(self, principal: str, event: str, /, **fields: object) -> None:
        """Write a line, or count it."""
        self._write_or_count("info", principal, event, fields)

    def warning(self, principal: str, event: str, /, **fields: object) -> None:
        """Write a warning, or count it."""
        self._write_or_count("warning", principal, event, fields)

    def error(self, principal: str, event: str, /, **fields: object) -> None:
        """Write an error, or count it."""
        self._write_or_count("error", principal, event, fields)

    def _write_or_count(self, level: str, principal: str, event: str, fields: dict[str, object]) -> None:
        now = self._clock()
        summed = self._sum_of(event, principal, now)
        if self._written >= self._total and now - self._began >= self._window_s:
            self._written, self._began = 0, now
        if summed.written < self._each and self._written < self._total:
            summed.written += 1
            self._written += 1
            getattr(self._log, level)(event, **cut(fields))
            return
        summed.more += 1
        self.summed += 1
        summed.level, summed.fields = level, cut(fields)

    def _sum_of(self, event: str, principal: str, now: float) -> _Sum:
        key = (event, principal)
        if key not in self._sums and len(self._sums) >= MOST_SUMS:
            key = (event, OTHERS)
        summed = self._sums.get(key)
        if summed is not None and now - summed.began >= self._window_s:
            self._close({key: self._sums.pop(key)})
            summed = None
        if summed is None:
            summed = self._sums[key] = _Sum(now)
        return summed

    def sweep(self) -> None:
        """Write the summary lines of the windows that are over."""
        now = self._clock()
        over = {key: summed for key, summed in self._sums.items() if now - summed.began >= self._window_s}
        for key in over:
            del self._sums[key]
        if now - self._began >= self._window_s:
            self._written, self._began = 0, now
        self._close(over)

    def close(self) -> None:
        """Write all summary lines, because the server stops."""
        over, self._sums = self._sums, {}
        self._close(over)

    def _close(self, over: dict[tuple[str, str], _Sum]) -> None:
        most_first = sorted(
            ((key, summed) for key, summed in over.items() if summed.more), key=lambda item: -item[1].more
        )
        for (event, principal), summed in most_first[:MOST_SUM_LINES]:
            fields = {**summed.fields, "again": summed.more, "within_s": self._window_s, "principal": principal}
            getattr(self._log, summed.level)(event, **fields)
        rest: Counter[str] = Counter()
        for (event, _), summed in most_first[MOST_SUM_LINES:]:
            rest[event] += summed.more
        for event, more in rest.items():
            self._log.warning(event, again=more, within_s=self._window_s, principal=OTHERS)


def cut(fields: dict[str, Any]) -> dict[str, Any]:
    """Return *fields* with every text printable and cut: a text from a peer may be as long as a header."""
    return {
        name: printable(value, LONGEST_VALUE) if isinstance(value, str) else value for name, value in fields.items()
    }
