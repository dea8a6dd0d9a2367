"""A table of a page: the server sorts, filters and divides it, as the query of the request says."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from typing import Any, Final, Generic, TypeVar
from urllib.parse import urlencode

from sipmesh.server.console.parameters import LONGEST_ADDRESS, MOST_PAGES
from sipmesh.sip.text import LWS, ascii_lower, is_digits

ROWS: Final = 50
"""Rows of a table on one page."""


T = TypeVar("T")


@dataclass(frozen=True)  # without slots: typing marks each column with its type
class Column(Generic[T]):
    """A column with its heading; *value* is what it sorts by and what the filter looks at, None for neither."""

    label: str
    value: Callable[[T], Any] | None = None


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a query asks of a table at *path*: rows with the text *find*, sorted by the column *sort*, from *page* on.

    *kept* are the other fields of the query, which belong to the page.
    """

    path: str
    find: str = ""
    sort: str = ""
    descending: bool = False
    page: int = 1
    kept: tuple[tuple[str, str], ...] = ()

    @classmethod
    def of(cls, path: str, query: Mapping[str, str], *kept: str) -> Wanted:
        """Read a query; what cannot be read has its default."""
        sort, page = query.get("sort", ""), query.get("page", "")
        return cls(
            path,
            query.get("q", "").replace("\0", "").strip(LWS)[:LONGEST_ADDRESS],
            sort.removeprefix("-"),
            sort.startswith("-"),
            min(max(int(page), 1), MOST_PAGES) if is_digits(page) and len(page) < len(str(MOST_PAGES)) else 1,
            tuple((name, query[name]) for name in kept if name in query),
        )

    def url(self, sort: str, page: int = 1) -> str:
        """Return the address of this table, sorted by *sort*, at *page*."""
        asked = {"q": self.find, "sort": sort, "page": str(page) if page > 1 else ""}
        fields = urlencode([*self.kept, *((name, value) for name, value in asked.items() if value)])
        return f"{self.path}?{fields}" if fields else self.path

    @property
    def order(self) -> str:
        """The column and the direction, as the query has them."""
        return f"{'-' * self.descending}{self.sort}"


@dataclass(frozen=True)
class Table(Generic[T]):
    """The *rows* of one page, of *found* that the filter leaves and of *total* in all."""

    columns: Sequence[Column[T]]
    rows: Sequence[T]
    found: int
    total: int
    wanted: Wanted
    length: int = ROWS

    @classmethod
    def of(cls, columns: Sequence[Column[T]], rows: Sequence[T], wanted: Wanted, length: int = ROWS) -> Table[T]:
        """Filter, sort and divide *rows*, which are all there are; without a wish they stay in their order."""
        left = [row for row in rows if _has(columns, row, ascii_lower(wanted.find))] if wanted.find else list(rows)
        value = next((one.value for one in columns if one.value is not None and one.label == wanted.sort), None)
        if value is not None:
            known = [row for row in left if value(row) is not None]
            known.sort(key=value, reverse=wanted.descending)
            left = known + [row for row in left if value(row) is None]
        first = (wanted.page - 1) * length
        return cls(columns, left[first : first + length], len(left), len(rows), wanted, length)

    @property
    def pages(self) -> int:
        """How many pages there are."""
        return max(1, ceil(self.found / self.length))

    def direction(self, column: Column[T]) -> str:
        """Return how the table is sorted by *column*, as ``aria-sort`` says it; empty if by another one."""
        if self.wanted.sort != column.label:
            return ""
        return "descending" if self.wanted.descending else "ascending"

    def sorted_by(self, column: Column[T]) -> str:
        """Return the address of the table sorted by *column*; of the other direction if it is sorted so."""
        return self.wanted.url(f"{'-' * (self.direction(column) == 'ascending')}{column.label}")

    def at(self, page: int) -> str:
        """Return the address of another *page*."""
        return self.wanted.url(self.wanted.order, page)


def _has(columns: Sequence[Column[T]], row: T, find: str) -> bool:
    return any(find in ascii_lower(str(column.value(row))) for column in columns if column.value is not None)
