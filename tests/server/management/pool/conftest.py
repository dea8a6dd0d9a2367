from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from support.pool import Pool, build_pool
from support.postgres import Cluster


@pytest.fixture(name="pool_model", scope="session")
def _pool_model(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Pool:
    """A management pool as it is copied for each test: migrations, users and a version cost half a second."""
    where = tmp_path_factory.mktemp("pool")
    with cluster.model("pool") as url:
        return Pool.make(*build_pool(where / "m"), where, url)


@pytest.fixture(name="pool")
def _pool(pool_model: Pool, cluster: Cluster, tmp_path: Path) -> Iterator[Pool]:
    """A management pool whose second server has not joined; none of its servers runs."""
    with cluster.copy("pool"):
        yield pool_model.copied(tmp_path)
