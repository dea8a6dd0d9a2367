"""What a trunk without a certificate is offered."""

from __future__ import annotations

import pytest

from sipmesh.routing.numbers.trunk_challenge import TrunkChallenge
from sipmesh.sip.digest import Algorithm


@pytest.mark.parametrize(
    ("weakest", "offered"),
    [
        (Algorithm.SHA_256, (Algorithm.SHA_256,)),
        (Algorithm.MD5, (Algorithm.SHA_256, Algorithm.MD5)),
    ],
)
def test_strongest_algorithm_is_offered_first_and_md5_only_if_it_counts(
    weakest: Algorithm, offered: tuple[Algorithm, ...]
) -> None:
    assert TrunkChallenge("sbc", "gw.test", "secrets/a", weakest).algorithms == offered


def test_realm_is_our_name_at_the_trunk() -> None:
    assert TrunkChallenge("sbc", "gw.test", "secrets/a").aor == "sip:sbc@gw.test"
