"""One line of the log when descriptors run out, and one when they are free again."""

from __future__ import annotations

import pytest

from sipmesh.server.quotas.shortage_report import REMEDY, ShortageReport
from sipmesh.transport.reactor.descriptors import SHORTAGE_OVER_S, DescriptorShortage
from support.telling import Told


@pytest.mark.parametrize(("later_s", "lines"), [(SHORTAGE_OVER_S - 0.1, 1), (SHORTAGE_OVER_S, 2)])
def test_shortage_is_two_lines_for_any_number_of_occurrences(later_s: float, lines: int) -> None:
    shortage, told = DescriptorShortage(), Told()
    report = ShortageReport(shortage, told.log)
    for step in range(1_000):
        shortage.noticed(step / 1_000)
        report.tick(step / 1_000)
    report.tick(0.999 + later_s)
    assert [line["event"] for line in told.lines] == [
        "file descriptors have run out: new links of clients wait",
        "file descriptors are free again",
    ][:lines]
    assert told.lines[0]["remedies"] == [REMEDY]
    assert shortage.episodes == 1
