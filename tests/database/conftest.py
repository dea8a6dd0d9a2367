"""An empty database of each kind."""

from __future__ import annotations

from pathlib import Path

import pytest

from storage.databases import BOTH, POSTGRESQL


@pytest.fixture(name="url", params=BOTH)
def _url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty database: SQLite, and PostgreSQL."""
    return str(request.getfixturevalue("postgres_url") if request.param == POSTGRESQL else f"sqlite:///{tmp_path}/x.db")
