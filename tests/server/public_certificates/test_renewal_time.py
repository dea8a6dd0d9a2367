"""A certificate is due when its CA says so, and at the latest when a third of its lifetime is left."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from sipmesh.demo.forge import Forge
from sipmesh.server.public_certificates.renewal_time import due_at, is_for

NOON = datetime(2026, 12, 1, 12, tzinfo=UTC)
LIVES = timedelta(days=90)
FORGE = Forge(NOON)
LEAF = FORGE.server(None, dns=("fe1.example.test",), begins=timedelta(0), ends=LIVES).certificate


@pytest.mark.parametrize(
    ("named", "due"),
    [
        (None, NOON + timedelta(days=60)),
        (NOON + timedelta(days=50), NOON + timedelta(days=50)),
        (NOON - timedelta(days=1), NOON - timedelta(days=1)),
        (NOON + timedelta(days=80), NOON + timedelta(days=60)),
        (NOON + timedelta(days=4000), NOON + timedelta(days=60)),
    ],
)
def test_ca_can_only_say_that_it_is_earlier(named: datetime | None, due: datetime) -> None:
    assert due_at(LEAF, named) == due


def test_certificate_of_a_few_days_is_due_after_two_thirds_of_them() -> None:
    leaf = FORGE.server(None, "fe1.example.test", begins=timedelta(0), ends=timedelta(days=6)).certificate
    assert due_at(leaf, None) == NOON + timedelta(days=4)


@pytest.mark.parametrize(
    ("names", "fits"),
    [(("fe1.example.test",), True), (("fe1.example.test", "example.test"), False), (("fe2.example.test",), False)],
)
def test_other_names_in_the_topology_need_another_certificate(names: tuple[str, ...], fits: bool) -> None:  # noqa: FBT001
    assert is_for(LEAF, names) is fits
