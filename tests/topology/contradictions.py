"""Parts of the document of `topology.world` that tests of the checks replace."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from topology.world import Place

EDGE_HOP = "next_hop: pool1.example.test\n  - name: bot"
BOT_HOP = "next_hop: pool1.example.test\n    speaks_for"
POOL2 = "name: pool2.example.test\n    role: front-end"
USAGE = "client_usage: server-ok"
FE3 = "servers: [fe3.example.test]"


def must_report(place: Place, old: str, new: str, field: str, reason: str) -> None:
    """Replace *old* by *new*, and find *reason* at *field* and nowhere else."""
    place.spoil((old, new))
    told = [(problem.field, problem.reason) for problem in place.problems() if reason in problem.reason]
    assert [place for place, _ in told] == [field], [str(problem) for problem in place.problems()]
