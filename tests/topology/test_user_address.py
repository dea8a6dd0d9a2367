"""The full address of a user: the only domain is added, another domain is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from sipmesh.errors import OperatorError
from sipmesh.topology.user_address import full_address
from support.managed import build_managed


def test_only_domain_is_added_and_another_one_is_refused(tmp_path: Path) -> None:
    topology = build_managed(tmp_path).load().topology
    assert full_address("alice", topology) == "alice@example.test"
    assert full_address("alice@Example.Test", topology) == "alice@Example.Test"
    with pytest.raises(OperatorError, match=r"evil\.test is not a SIP domain of the topology"):
        full_address("alice@evil.test", topology)
    two = topology.model_copy(update={"sip_domains": ("example.test", "other.test")})
    with pytest.raises(OperatorError, match=r"has no domain; write alice@ with one of: example\.test, other\.test"):
        full_address("alice", two)
