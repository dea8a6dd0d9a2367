"""The roles and the usages are written as the topology spells them."""

from __future__ import annotations

import pytest

from sipmesh.trust.role import ClientUsage, Role


def test_role_is_written_as_in_the_topology() -> None:
    assert list(map(str, Role)) == ["front-end", "edge", "application", "management", "gateway"]
    assert [str(usage) for usage in ClientUsage] == ["strict", "server-ok"]


def test_unknown_role_is_none() -> None:
    with pytest.raises(ValueError, match="proxy"):
        Role("proxy")
