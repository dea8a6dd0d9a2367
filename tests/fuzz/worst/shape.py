"""Shapes of inputs: rows of repeated pieces, which grow to any size."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from itertools import count
from typing import Final

SLOT: Final = b"{}"
"""Where an item has its name."""

SEVERAL: Final = 24
"""Long names, where rows have one each, and rows, where there are several."""


AROUND: Final = 48
"""What is around a long name has its place too."""


class Names(Enum):
    """Which names the items have."""

    SAME = "the same name"
    EACH = "each another name"
    PREFIXES = "names that are prefixes of each other"
    LONG = "long names"


class Rows(Enum):
    """How the items form rows: as few items in a row as make so many rows at most. Many limits count rows."""

    ONE = "one row"
    SEVERAL = "24 rows"
    SCORES = "240 rows"
    MANY = "1900 rows"
    EACH = "a row for each"
    NESTED = "rows inside each other"


MOST_ROWS: Final = {Rows.ONE: 1, Rows.SEVERAL: SEVERAL, Rows.SCORES: 240, Rows.MANY: 1_900}


@dataclass(frozen=True, slots=True)
class Piece:
    """A row: what opens it, its items, and what closes it."""

    opens: bytes
    item: bytes = b""
    closes: bytes = b""

    @property
    def is_named(self) -> bool:
        """Whether its items have names."""
        return SLOT in self.item or SLOT in self.opens


@dataclass(frozen=True, slots=True)
class Block:
    """A piece, repeated."""

    piece: Piece
    names: Names
    rows: Rows

    def __str__(self) -> str:
        row = b" ... ".join(part for part in (self.piece.opens, self.piece.item, self.piece.closes) if part)
        return (
            f"{row!r} ({self.names.value}, {self.rows.value})"
            if self.piece.is_named
            else f"{row!r} ({self.rows.value})"
        )

    def octets(self, size: int) -> bytes:
        """Give about *size* octets."""
        names = self._names(size)
        if self.rows is Rows.NESTED:
            return self._nested(size, names)
        row_size = size // MOST_ROWS[self.rows] if self.rows in MOST_ROWS else 0
        if self.rows is Rows.ONE:
            return self._row(size, names)
        written: list[bytes] = []
        left = size
        while left > 0:
            row = self._row(min(left, row_size), names)
            written.append(row)
            left -= max(1, len(row))
        return b"".join(written)

    def _row(self, size: int, names: _Names) -> bytes:
        opens, closes = self.piece.opens, self.piece.closes
        if SLOT in opens:
            name = names.next()
            opens, closes = opens.replace(SLOT, name), closes.replace(SLOT, name)
        items: list[bytes] = []
        left = size - len(opens) - len(closes)
        while self.piece.item and (left >= len(self.piece.item) or not items):
            item = self.piece.item.replace(SLOT, names.next()) if SLOT in self.piece.item else self.piece.item
            items.append(item)
            left -= len(item)
            if names.kind is Names.LONG:
                break
        return b"".join([opens, *items, closes])

    def _nested(self, size: int, names: _Names) -> bytes:
        opened: list[bytes] = []
        closed: list[bytes] = []
        left = size
        while left > 0:
            name = names.next()
            opened.append((self.piece.opens + self.piece.item).replace(SLOT, name))
            closed.append(self.piece.closes.replace(SLOT, name))
            left -= max(1, len(opened[-1]) + len(closed[-1]))
        return b"".join([*opened, *reversed(closed)])

    def _names(self, size: int) -> _Names:
        return _Names(self.names, size // MOST_ROWS.get(self.rows, SEVERAL))


class _Names:
    """Gives one name after the other."""

    def __init__(self, kind: Names, size: int) -> None:
        self.kind, self._size, self._numbers = kind, size, count(1)

    def next(self) -> bytes:
        """Give the next name."""
        match self.kind:
            case Names.SAME:
                return b"n"
            case Names.EACH:
                return b"%x" % next(self._numbers)
            case Names.PREFIXES:
                return b"n" * next(self._numbers)
            case Names.LONG:
                return b"n" * max(1, self._size - AROUND)


Shape = tuple[Block, ...]
"""Blocks that share the size."""


def octets_of(shape: Shape, size: int, between: bytes = b"") -> bytes:
    """Give about *size* octets of a shape; the octets *between* follow the first block."""
    first, *others = (block.octets(size // len(shape)) for block in shape)
    return b"".join([first, between, *others])


def shown(shape: Shape) -> str:
    """Describe a shape in one line."""
    return ", then ".join(map(str, shape))
