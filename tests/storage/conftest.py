from __future__ import annotations

from pathlib import Path

import pytest

from storage.databases import BOTH, POSTGRESQL


@pytest.fixture(name="url", params=BOTH)
def _url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty database, once in SQLite and once in PostgreSQL."""
    if request.param == POSTGRESQL:
        return str(request.getfixturevalue("postgres_url"))
    return f"sqlite:///{tmp_path}/kept.db"


@pytest.fixture(name="file")
def _file(url: str) -> Path:
    """The file of the database, for tests that are of SQLite alone."""
    return Path(url.removeprefix("sqlite:///"))
