"""Rules of calls of the topology: for whom they are, and where calls go."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sipmesh.topology.document.report import did_you_mean
from sipmesh.trust.role import Role

if TYPE_CHECKING:
    from sipmesh.topology.document.checks.checked_document import CheckedDocument


def call_rules_are_for_home_pools(document: CheckedDocument) -> None:
    """A pool of front ends has rules of calls once, and all users have them once."""
    homes = [pool.name for pool in document.topology.pools if pool.role is Role.FRONT_END]
    seen = set[str | None]()
    for n, rules in enumerate(document.topology.call_rules):
        whose = rules.pool or "all pools"
        if rules.pool in seen:
            document.report.add(("call_rules", n), f"there are rules for {whose} already", "join the two entries")
        if rules.pool is not None and rules.pool not in homes and rules.pool not in document.unread.texts:
            remedy = did_you_mean(rules.pool, homes, f"name a pool of front ends: {', '.join(homes)}")
            document.report.add(("call_rules", n, "pool"), f"{rules.pool!r} is no pool of front ends", remedy)
        seen.add(rules.pool)
