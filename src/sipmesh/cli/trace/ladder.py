"""The ladder of a trace as text: a column for each server and device, and an arrow for each message."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sipmesh.server.tracing.hops import Hop

COLUMN: Final = 22
"""Characters of a column."""

CLOCK: Final = 13
"""Characters of the time, with the space behind it."""


class Ladder:
    """Draws hops in the order in which they come, on *width* characters; who appears gets the next column."""

    def __init__(self, width: int) -> None:
        self._most = max(2, (width - CLOCK) // COLUMN)
        self._names: dict[str, str] = {}  # what the header shows of each column

    def lines(self, hop: Hop) -> Iterator[str]:
        """Give the lines of one hop: nothing new if the other end has shown the message."""
        message = hop.message
        if hop.is_first:
            if self._learn(hop.sender, hop.from_label) | self._learn(hop.receiver, hop.to_label):
                yield self._header()
            yield f"{message.clock} {self._arrow(hop)}"
        if message.received and message.is_request and (message.kind != "server" or message.code != "accepted"):
            yield f"{'':{CLOCK}}{message.server} knows its sender by: {message.proof}; the link is {message.code}"
        if hop.changes and message.is_request:
            yield f"{'':{CLOCK}}{message.server}: {', '.join(hop.changes)}"

    def _learn(self, end: str, name: str) -> bool:
        """Give an end of a hop a column if one is free; tell whether the header has to be shown again."""
        known = self._names.get(end)
        if known == name or (known is None and len(self._names) >= self._most):
            return False
        self._names[end] = name
        return True

    def _header(self) -> str:
        return " " * CLOCK + "".join(f"{name[: COLUMN - 2]:<{COLUMN}}" for name in self._names.values()).rstrip()

    def _arrow(self, hop: Hop) -> str:
        """Draw the arrow between two columns; in words if one of the two has none."""
        told = hop.message.told
        if hop.sender not in self._names or hop.receiver not in self._names:
            return f"{hop.sender} -> {hop.receiver}: {told}"
        columns = list(self._names)
        begin, end = columns.index(hop.sender), columns.index(hop.receiver)
        left, right = min(begin, end), max(begin, end)
        if left == right:
            return f"{hop.sender} to itself: {told}"
        length = (right - left) * COLUMN - 1
        inside = f" {told[: length - 6]} ".center(length - 1, "-")
        drawn = f"{inside}>" if begin < end else f"<{inside}"
        cells = (
            [f"|{'':{COLUMN - 1}}"] * left + [f"|{drawn}"] + [f"|{'':{COLUMN - 1}}"] * (len(self._names) - right - 1)
        )
        return "".join(cells) + "|"
