"""What a server computes from a version before it puts it in force."""

from __future__ import annotations

import pytest

from sipmesh.demo.organisation import Organisation
from sipmesh.errors import OperatorError
from sipmesh.routing.identity.home_rule import unknown
from sipmesh.routing.registrar.gruu import Gruus
from sipmesh.server.running.prepared_version import prepare
from support.network import EXAMPLE, FE1, FE2, POOL

GRUUS = Gruus(bytes(32), POOL)


def test_version_is_prepared_for_one_server(example: Organisation) -> None:
    """Its own names are those that a route may have; the addresses are those of all servers of the topology."""
    made = prepare(example.load(), FE1, 1, GRUUS, unknown)
    assert (made.view.name, made.view.pool.name) == (FE1, POOL)
    assert made.view.sip_domains == {EXAMPLE}
    assert made.names != prepare(example.load(), FE2, 1, GRUUS, unknown).names
    assert made.addresses.networks == {"127.0.0.1"}


def test_version_without_this_server_is_not_prepared(example: Organisation) -> None:
    with pytest.raises(OperatorError, match="fe9"):
        prepare(example.load(), f"fe9.{EXAMPLE}", 1, GRUUS, unknown)
