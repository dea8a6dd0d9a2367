"""Which pools users may be at home in."""

import pytest

from sipmesh.errors import OperatorError
from sipmesh.topology.home_pools import chosen_home, front_end_pools, home_by_default
from topology.world import Place


def test_homes_are_the_front_end_pools_and_the_first_is_the_default(place: Place) -> None:
    topology = place.load().topology
    assert front_end_pools(topology) == ("pool1.example.test", "pool2.example.test")
    assert home_by_default(topology) == "pool1.example.test"
    assert chosen_home(topology, "Pool2.example.test") == "pool2.example.test"


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("pool3.example.test", "did you mean 'pool2.example.test'"),
        ("elsewhere", "the front-end pools are pool1.example.test"),
        ("sip.example.test", "is a pool of role edge"),
    ],
)
def test_other_name_is_refused_with_a_remedy(place: Place, name: str, why: str) -> None:
    with pytest.raises(OperatorError, match=why):
        chosen_home(place.load().topology, name)
