"""One line of the log when requests begin to be refused, and one with the sums at the end."""

from __future__ import annotations

from sipmesh.routing.overload import OverloadControl
from sipmesh.server.quotas.overload_report import OverloadReport
from support.telling import Told


def test_overload_is_two_lines_with_its_sums() -> None:
    control, told = OverloadControl(0.1, 0.5, 0.25), Told()
    report = OverloadReport(control, told.log)
    for step in range(100):
        control.measured(0.2, 1.0 + step * 0.02)
        report.tick(1.0 + step * 0.02)
    control.refused, control.refused_last = 7, 2
    report.tick(3.4)
    report.tick(4.0)
    report.tick(5.0)
    begun, over = told.lines
    assert begun == {
        "level": "warning",
        "event": "overload: new requests are refused with 503",
        "age_ms": 200,
        "target_ms": 100,
    }
    assert (over["event"], over["refused"], over["refused_last"], over["longest_age_ms"]) == (
        "overload is over",
        7,
        2,
        200,
    )


def test_quiet_server_says_nothing() -> None:
    told = Told()
    OverloadReport(OverloadControl(0.1, 0.5, 0.25), told.log).tick(9.0)
    assert told.lines == []
