"""The pages of an answer to a question for records: which page to ask for next, and when all are there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sipmesh.storage.call_records.call_query import MOST_ON_PAGE

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sipmesh.storage.call_records.call_record import CallRecord


class CallPages:
    """The *records* of the pages so far, *most* in all, the newest first. *has_more*: there are older records."""

    def __init__(self, most: int) -> None:
        self._most = most
        self.records: list[CallRecord] = []
        self.has_more = True

    @property
    def is_complete(self) -> bool:
        """Whether no other page is to be asked for."""
        return not self.has_more or len(self.records) >= self._most

    @property
    def wanted(self) -> Mapping[str, object]:
        """The parameters of the next page."""
        left = min(self._most - len(self.records), MOST_ON_PAGE)
        return {"most": left, "before": self.records[-1].id if self.records else ""}

    def add(self, records: Sequence[CallRecord], *, has_more: bool) -> None:
        """Take the page that was wanted."""
        self.records += records
        self.has_more = has_more and bool(records)
