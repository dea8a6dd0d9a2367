from __future__ import annotations

import pytest

from sipmesh.demo.organisation import Organisation
from support.trunks import PROVIDER, PlayedTrunk, build_gateway, build_trunk, join_trunks


@pytest.fixture(name="trunked", scope="session")
def _trunked(tmp_path_factory: pytest.TempPathFactory) -> Organisation:
    """A gateway and its trunk, whose calls last two minutes at most; a test reads it alone."""
    folder = tmp_path_factory.mktemp("trunks")
    example = build_gateway(folder / "example")
    example.document["numbers"] = {"emergency": ["112"]}
    trunk = PlayedTrunk(PROVIDER, build_trunk(folder / "provider", PROVIDER))
    join_trunks(example, (trunk, {"carries": ["+"], "longest_call": 2, "emergency": True}))
    return example
