"""Where a device connects: the front ends of its home pool, or an edge for remote users."""

from __future__ import annotations

from pathlib import Path

import pytest

from sipmesh.errors import OperatorError
from sipmesh.server.provisioning.profile import Profile, reach_of
from sipmesh.topology.document.load import load
from support.managed import build_managed
from support.network import FE1, FE2, POOL


def test_device_connects_to_each_front_end_of_its_home_pool(tmp_path: Path) -> None:
    topology = load(build_managed(tmp_path / "o").file).topology
    reach = reach_of(topology, POOL, remote=False)
    assert [host for host, _ in reach.servers] == [FE1, FE2]
    assert reach.web_phones == ()


@pytest.mark.parametrize(("pool", "remote", "why"), [(POOL, True, "no edge"), ("nopool.test", False, "no front end")])
def test_device_without_a_server_is_refused(tmp_path: Path, pool: str, remote: bool, why: str) -> None:  # noqa: FBT001
    topology = load(build_managed(tmp_path / "o").file).topology
    with pytest.raises(OperatorError, match=why):
        reach_of(topology, pool, remote=remote)


def test_names_of_a_profile(profile: Profile) -> None:
    assert (profile.address, profile.user, profile.domain) == ("alice@example.test", "alice", "example.test")
    assert profile.must_encrypt
