"""When a certificate is due for renewal."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from sipmesh.server.replication.renewal import is_due
from support.renewing import DUE, FE1, NOW, Place


@pytest.fixture(name="place")
def _place(tmp_path: Path) -> Place:
    return Place.make(tmp_path)


def test_certificate_is_requested_at_two_thirds_of_its_life_and_not_before(place: Place) -> None:
    leaf = place.leaf(FE1)
    assert not is_due(leaf, NOW + timedelta(days=19))
    assert is_due(leaf, DUE)
    assert place.applicant(FE1).request(place.view(FE1), NOW) is None
