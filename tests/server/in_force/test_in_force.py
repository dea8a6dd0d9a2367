"""What a server computes from a version before it puts it in force."""

from __future__ import annotations

import pytest

from sipmesh.demo.organisation import Organisation
from sipmesh.errors import OperatorError
from sipmesh.server.in_force.in_force import in_force_of
from support.in_force import lasting
from support.network import EXAMPLE, FE1, FE2, POOL


def test_version_is_prepared_for_one_server(example: Organisation) -> None:
    """Its own names are those that a route may have; the addresses are those of all servers of the topology."""
    made = in_force_of(example.load(), FE1, lasting())
    assert (made.view.name, made.view.pool.name) == (FE1, POOL)
    assert made.view.sip_domains == {EXAMPLE}
    assert made.names != in_force_of(example.load(), FE2, lasting()).names
    assert made.addresses.networks == {"127.0.0.1"}


def test_version_without_this_server_is_not_prepared(example: Organisation) -> None:
    with pytest.raises(OperatorError, match="fe9"):
        in_force_of(example.load(), f"fe9.{EXAMPLE}", lasting())


def test_pool_that_is_taken_over_changes_the_home_pools_alone(example: Organisation) -> None:
    made = in_force_of(example.load(), FE1, lasting())
    taking = made.taking_over(frozenset({"pool2.example.test"}))
    assert (sorted(taking.homes.taken), sorted(made.homes.taken)) == (["pool2.example.test"], [])
    assert (taking.view, taking.facts, taking.media) == (made.view, made.facts, made.media)
