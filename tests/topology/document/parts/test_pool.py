"""A pool and its servers."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from sipmesh.topology.document.parts.pool import Pool
from sipmesh.topology.document.parts.server import Server


def test_server_may_be_written_as_its_name() -> None:
    pool = Pool.model_validate({"name": "p.a.test", "role": "front-end", "servers": ["s.a.test", {"name": "t.a.test"}]})
    assert pool.servers == (Server(name="s.a.test"), Server(name="t.a.test"))
    assert pool.takeover_after == 60


def test_pool_has_no_store_of_its_own_by_default() -> None:
    assert Pool.model_validate({"name": "p.a.test", "role": "front-end", "servers": ["s.a.test"]}).storage is None


def test_pool_without_servers_is_refused() -> None:
    with pytest.raises(ValidationError, match="at least 1"):
        Pool.model_validate({"name": "p.a.test", "role": "front-end", "servers": []})
