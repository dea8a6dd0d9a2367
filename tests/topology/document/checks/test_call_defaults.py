"""Rules of calls of the topology: for whom they are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from sipmesh.errors import OperatorError
from support.network import EDGES, POOL, build_two_pools


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ([{"pool": EDGES}], "is no pool of front ends"),
        ([{"pool": "pool1.example.tes"}], "is no pool of front ends"),
        ([{}, {}], "there are rules for all pools already"),
        ([{"pool": POOL}, {"pool": POOL, "ring_s": 20}], f"there are rules for {POOL} already"),
    ],
)
def test_rules_are_for_a_pool_of_front_ends_once(tmp_path: Path, given: list[dict[str, Any]], says: str) -> None:
    organisation = build_two_pools(tmp_path)
    organisation.document["call_rules"] = [{}, {"pool": POOL}]
    organisation.write()
    assert len(organisation.load().topology.call_rules) == 2
    organisation.document["call_rules"] = given
    organisation.write()
    with pytest.raises(OperatorError, match=says):
        organisation.load()
