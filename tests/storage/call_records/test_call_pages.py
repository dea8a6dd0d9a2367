"""Pages are asked for one after another, until there is no older record, or until there are enough."""

from __future__ import annotations

from sipmesh.storage.call_records.call_pages import CallPages
from sipmesh.storage.call_records.call_query import MOST_ON_PAGE
from support.recording import record


def test_next_page_begins_behind_the_last_record_and_has_no_more_than_is_left() -> None:
    pages = CallPages(MOST_ON_PAGE + 5)
    assert pages.wanted == {"most": MOST_ON_PAGE, "before": ""}
    pages.add([record(id=str(number)) for number in range(MOST_ON_PAGE)], has_more=True)
    assert (pages.wanted, pages.is_complete) == ({"most": 5, "before": str(MOST_ON_PAGE - 1)}, False)
    pages.add([record(id=f"x{number}") for number in range(5)], has_more=True)
    assert (pages.is_complete, pages.has_more, len(pages.records)) == (True, True, MOST_ON_PAGE + 5)


def test_last_page_is_the_one_without_older_records_or_without_any() -> None:
    pages = CallPages(10)
    pages.add([record()], has_more=False)
    assert (pages.is_complete, pages.has_more) == (True, False)
    empty = CallPages(10)
    empty.add([], has_more=True)
    assert empty.is_complete
