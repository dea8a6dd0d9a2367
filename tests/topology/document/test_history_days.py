"""For how long a pool keeps the message history: as it says, or else as the topology says."""

from __future__ import annotations

import pytest

from sipmesh.topology.document.history_days import history_days
from sipmesh.topology.document.model import Topology
from sipmesh.topology.document.parts.history import History
from sipmesh.topology.document.parts.pool import Pool


@pytest.mark.parametrize(
    ("general", "own", "days"), [(None, None, 0), (30, None, 30), (30, 7, 7), (30, 0, 0), (None, 7, 7)]
)
def test_pool_comes_before_the_topology(general: int | None, own: int | None, days: int) -> None:
    pool = Pool.model_construct(name="pool1.example.test", history=None if own is None else History(days=own))
    made = Topology.model_construct(history=None if general is None else History(days=general), pools=(pool,))
    assert history_days(made, pool.name) == days
    assert history_days(made, "unknown") == (general or 0)
