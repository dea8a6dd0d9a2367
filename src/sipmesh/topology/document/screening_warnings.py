"""What `topology check` says of users whose calls no application screens, while it screens those of others."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sipmesh.trust.role import Role

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sipmesh.errors import Problem
    from sipmesh.topology.document.model import Topology
    from sipmesh.topology.document.report import ProblemReport


def screening_warnings(topology: Topology, report: ProblemReport) -> Iterator[Problem]:
    """Give a warning for each name in `screens` that other pools may have users of: an application screens those of one pool."""
    homes = [pool.name for pool in topology.pools if pool.role is Role.FRONT_END]
    screened = {(pool.next_hop, name) for pool in topology.pools for name in pool.screens}
    for loc, pool in ((("pools", n), pool) for n, pool in enumerate(topology.pools)):
        for n, name in enumerate(pool.screens):
            others = [home for home in homes if (home, name) not in screened]
            if others and "@" not in name:
                yield report.problem(
                    (*loc, "screens", n),
                    f"calls to users of {name} who are at home in {', '.join(others)} are not screened",
                    f"add an application with `screens: [{name}]` behind each of these pools",
                )
