"""The tables of pages: sorted, filtered and divided by the server, for each query."""

from __future__ import annotations

import pytest

from sipmesh.server.console.pages.table import ROWS, Column, Table, Wanted

COLUMNS = (
    Column[tuple[str, int | None]]("Name", lambda row: row[0]),
    Column[tuple[str, int | None]]("Age", lambda row: row[1]),
)
PEOPLE = [("bob", 30), ("alice", None), ("carol", 20)]


def shown(**query: str) -> Table[tuple[str, int | None]]:
    return Table.of(COLUMNS, PEOPLE, Wanted.of("/people", query))


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ({}, "bob alice carol"),
        ({"sort": "Name"}, "alice bob carol"),
        ({"sort": "-Name"}, "carol bob alice"),
        ({"sort": "Age"}, "carol bob alice"),
        ({"sort": "-Age"}, "bob carol alice"),
        ({"sort": "none"}, "bob alice carol"),
        ({"q": "AL"}, "alice"),
        ({"q": "o", "sort": "Name"}, "alice bob carol"),
        ({"page": "2"}, ""),
        *(({"page": odd}, "bob alice carol") for odd in ("0", "-1", "x", "9" * 99, "²")),
    ],
)
def test_rows_are_those_that_the_query_asks_for(query: dict[str, str], names: str) -> None:
    assert [name for name, _ in shown(**query).rows] == names.split()


def test_each_page_leads_to_the_next_one_in_the_same_order() -> None:
    rows = [(f"n{number:03}", number) for number in range(2 * ROWS + 1)]
    first = Table.of(COLUMNS, rows, Wanted.of("/people", {"sort": "-Age", "q": "n"}))
    assert (first.pages, first.found, first.rows[0][0]) == (3, len(rows), f"n{2 * ROWS:03}")
    assert first.at(2) == "/people?q=n&sort=-Age&page=2"
    last = Table.of(COLUMNS, rows, Wanted.of("/people", {"sort": "-Age", "page": "3"}))
    assert [name for name, _ in last.rows] == ["n000"]


def test_heading_turns_the_order_round_and_keeps_what_is_typed() -> None:
    name, age = COLUMNS
    table = Table.of(COLUMNS, PEOPLE, Wanted.of("/people", {"sort": "Name", "q": "a&b", "what": "x"}, "what"))
    assert (table.direction(name), table.direction(age)) == ("ascending", "")
    assert (table.sorted_by(name), table.sorted_by(age)) == (
        "/people?what=x&q=a%26b&sort=-Name",
        "/people?what=x&q=a%26b&sort=Age",
    )
