"""An order to probe links: how many links it may have."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sipmesh.errors import RemoteError
from sipmesh.server.replication.probe_order import MOST_TARGETS, ProbeOrder

ORDER = ProbeOrder("Example", "fe1.example.test", 1, 7, ("edge1.example.test",))


def test_order_has_a_limited_number_of_links() -> None:
    most = replace(ORDER, targets=("a.test",) * MOST_TARGETS)
    assert ProbeOrder.decode(most.encode()) == most
    with pytest.raises(RemoteError, match=f"at most {MOST_TARGETS} items"):
        ProbeOrder.decode(replace(most, targets=(*most.targets, "b.test")).encode())


def test_order_of_a_later_release_is_read() -> None:
    """It may have keys that this release does not know."""
    assert ProbeOrder.decode(ORDER.encode()[:-1] + b',"format":1}') == ORDER
